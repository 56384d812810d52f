"""A local EC2: moto answers the API, and each instance is a systemd machine in podman."""
