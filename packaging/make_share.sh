#!/bin/sh
# Writes the manual page and the completions into the folder SHARE: make_share.sh SHARE COMMAND [ARGUMENT ...]
# COMMAND is `rebellion`, however it is called here. `make man`, `make dist` and `make install` call this.
set -eu

share=$1
shift
case $share in
    */usr/share) zsh=vendor-completions ;; # where Debian's zsh looks for what packages bring
    *) zsh=site-functions ;;
esac

# $1 = the file below SHARE, the rest = words of the command
write() {
    file=$share/$1
    words=$2
    shift 2
    mkdir -p "$(dirname "$file")"
    # shellcheck disable=SC2086 # words are words
    "$@" $words >"$file"
}

write man/man1/rebellion.1 "man" "$@"
write bash-completion/completions/rebellion "completion bash" "$@"
write "zsh/$zsh/_rebellion" "completion zsh" "$@"
write fish/vendor_completions.d/rebellion.fish "completion fish" "$@"
