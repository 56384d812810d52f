"""moto's EC2, made to drive machines."""
