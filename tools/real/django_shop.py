"""A Django application with a database in memory, which has answered some requests and waits for more."""

import os
import sys
import threading
import urllib.request
from wsgiref.simple_server import make_server

import django
from django.conf import settings

settings.configure(
    DEBUG=True, SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:shop?mode=memory&cache=shared"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"])
django.setup()

from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

call_command("migrate", verbosity=0)
User.objects.bulk_create([User(username="user-%d" % i, email="%d@example.com" % i) for i in range(5000)])
kept = list(User.objects.all())


def users(request):
    return JsonResponse({"users": [one.username for one in kept[:100]]})


urlpatterns = [path("users", users)]
server = make_server("127.0.0.1", 0, get_wsgi_application())


def ask():
    for _ in range(20):
        urllib.request.urlopen("http://127.0.0.1:%d/users" % server.server_port).read()
    open(os.environ["REAL_READY"], "w").close()


sys.stderr = open(os.devnull, "w")
threading.Thread(target=ask, daemon=True).start()
server.serve_forever()
