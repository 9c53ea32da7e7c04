"""Circuit breaker, retry, recovery, backpressure: the library face."""
