"""A Flask application with threads, templates and data, which has answered some requests and waits for more."""

import logging
import os
import threading
import urllib.request

from flask import Flask, render_template_string
from werkzeug.serving import make_server

logging.getLogger("werkzeug").setLevel(logging.ERROR)
application = Flask(__name__)
orders = {i: {"id": i, "items": ["item-%d" % j for j in range(i % 7)], "paid": i % 2 == 0} for i in range(20000)}


@application.route("/order/<int:number>")
def order(number):
    template = "<h1>{{ order.id }}</h1>{% for item in order['items'] %}<p>{{ item }}</p>{% endfor %}"
    return render_template_string(template, order=orders[number])


server = make_server("127.0.0.1", 0, application, threaded=True)


def ask():
    for number in range(50):
        urllib.request.urlopen("http://127.0.0.1:%d/order/%d" % (server.server_port, number)).read()
    open(os.environ["REAL_READY"], "w").close()


threading.Thread(target=ask, daemon=True).start()
server.serve_forever()
