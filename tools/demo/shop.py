"""The program of the demo: a small shop service that hangs, as services do.

Workers take orders from a queue and look prices up under a lock. A refresher holds that lock while it waits for an
answer from another service, which never comes: no worker can go on, and the process uses no processor time.

Argument: a FIFO, into which one line is written when every thread is on its way into its wait.
"""

import ctypes
import json
import queue
import socket
import sys
import threading

PR_SET_PTRACER = 0x59616D61
PR_SET_PTRACER_ANY = ctypes.c_ulong(-1)


class Prices:
    """Prices by article; another service knows them."""

    def __init__(self, upstream):
        self.by_article = {"apple": 3, "pear": 4, "crème": 2.5}
        self.lock = threading.Lock()
        self.upstream = upstream

    def get(self, article):
        with self.lock:
            return self.by_article[article]

    def refresh(self, started):
        with self.lock:
            started.set()
            # The mistake: this wait has no end, and everybody else needs the lock.
            answer = self.upstream.recv(4096)
            self.by_article.update(json.loads(answer))


class Shop:
    """Worker threads that handle orders."""

    def __init__(self, prices, workers):
        self.prices = prices
        self.orders = queue.Queue()
        self.taken = threading.Semaphore(0)
        self.workers = [
            threading.Thread(target=self.work, name="order-worker-%d" % number, daemon=True)
            for number in range(1, workers + 1)
        ]

    def work(self):
        while True:
            order = self.orders.get()
            self.taken.release()
            self.handle(order)
            self.orders.task_done()

    def handle(self, order):
        total = 0
        for article, count in sorted(order["articles"].items()):
            total += count * self.prices.get(article)
        order["total"] = total


def main(ready):
    # Where only a parent may attach (Yama), this process lets GDB, its sibling, attach too.
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0)
    ours, _theirs = socket.socketpair()
    shop = Shop(Prices(ours), workers=3)
    started = threading.Event()
    threading.Thread(target=shop.prices.refresh, args=(started,), name="price-refresher", daemon=True).start()
    started.wait()
    for number, customer in enumerate(["Ada", "Zoë", "王伟"]):
        shop.orders.put({"id": 4711 + number, "customer": customer, "articles": {"apple": 2, "pear": number}})
    for worker in shop.workers:
        worker.start()
    for _ in shop.workers:
        shop.taken.acquire()
    with open(ready, "w") as fifo:
        fifo.write("ready\n")
    shop.orders.join()


if __name__ == "__main__":
    main(sys.argv[1])
