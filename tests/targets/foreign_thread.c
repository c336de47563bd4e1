/* A thread without any Python state, for commands_states.py. */
#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

static void *stand_still(void *descriptor)
{
    if (write((int)(intptr_t)descriptor, "!", 1) != 1)
        return NULL;
    for (;;)
        pause();
}

int start(int descriptor)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, stand_still, (void *)(intptr_t)descriptor);
}
