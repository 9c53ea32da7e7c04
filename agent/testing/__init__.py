"""What plugin authors test with: fakes and conformance suites."""
