import sys

from local_ec2.cli import main

if __name__ == "__main__":
    sys.exit(main())
