"""What stands before moto: faults on request, the journal of requests, and the control of both."""
