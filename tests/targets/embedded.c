/* embedded before|after OUT FIFO: stands still before Py_Initialize, or after Py_Finalize. */
#include <Python.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    if (strcmp(argv[1], "after") == 0) {
        Py_Initialize();
        PyRun_SimpleString("import threading, collections; kept = [collections.OrderedDict()]");
        if (Py_FinalizeEx() != 0)
            return 3;
    }
    int fifo = open(argv[2], O_WRONLY);
    if (write(fifo, "!", 1) != 1)
        return 4;
    for (;;)
        pause();
}
