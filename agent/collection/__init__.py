"""Running collectors: worker threads, recorder, series table, rates, and the wrapper round each collector."""
