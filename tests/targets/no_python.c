/* no_python FIFO: stands still. With -DPYPY it has the symbol by which PyPy is known. */
#include <fcntl.h>
#include <unistd.h>

#ifdef PYPY
int PyPyType_Type[64] = {1};
int PyPy_IsInitialized(void) { return PyPyType_Type[0]; }
#endif

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    int fifo = open(argv[1], O_WRONLY);
    if (write(fifo, "!", 1) != 1)
        return 4;
    for (;;)
        pause();
}
