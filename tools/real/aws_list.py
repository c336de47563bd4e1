"""`aws s3 ls` in the middle: the server, of our own, has the request and does not answer."""

import os
import socket
import sys
import threading

listener = socket.create_server(("127.0.0.1", 0))


def serve():
    connection, _ = listener.accept()
    connection.recv(1 << 16)
    open(os.environ["REAL_READY"], "w").close()
    threading.Event().wait()


threading.Thread(target=serve, daemon=True).start()
os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", AWS_DEFAULT_REGION="eu-central-1",
                  AWS_EC2_METADATA_DISABLED="true")
from awscli.clidriver import main

url = "http://127.0.0.1:%d" % listener.getsockname()[1]
sys.argv = ["aws", "s3", "ls", "--cli-read-timeout", "0", "--endpoint-url", url]
sys.exit(main())
