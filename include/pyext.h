/* The C boundary of pyext. Generated from rust-core/abi.rs by cbindgen; `make header` renews it. */

#ifndef PYEXT_H
#define PYEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/*
 The version of this boundary: the host refuses a library with another one.
 */
#define PYEXT_ABI_VERSION 2

/*
 How a call ended. 0 is an error on purpose: a callback or a call that did nothing must not look
 like a success.
 */
typedef int32_t pyext_status;

/*
 Callbacks of the host. Each may be null.
 */
typedef struct pyext_host {
  /*
   Passed to the callbacks.
   */
  void *context;
  /*
   Reads `length` bytes of the target at `address` into `buffer`; returns 1 if it got them all.
   */
  int32_t (*read)(void *context, uint64_t address, uint8_t *buffer, uint64_t length);
  /*
   Called now and then during long work, of which so many objects and bytes of the target are done; returns 1
   to go on, anything else to stop.
   */
  int32_t (*poll)(void *context, uint64_t objects, uint64_t bytes);
} pyext_host;

/*
 Bytes that the library hands out. Not NUL-terminated.
 */
typedef struct pyext_buffer {
  /*
   The bytes; null for an empty buffer.
   */
  uint8_t *data;
  /*
   How many.
   */
  uint64_t length;
  /*
   How much was allocated; only for the library.
   */
  uint64_t capacity;
} pyext_buffer;

/*
 The call succeeded.
 */
#define PYEXT_OK 1

/*
 What the user asked for does not exist; the message is for the user.
 */
#define PYEXT_USER 2

/*
 The target cannot be read, has no Python, or one that is not known; the message is for the user.
 */
#define PYEXT_TARGET 3

/*
 The user interrupted.
 */
#define PYEXT_INTERRUPTED 4

/*
 The request is malformed: the host and the library do not fit together.
 */
#define PYEXT_REQUEST 5

/*
 A call from within a callback of the same session.
 */
#define PYEXT_BUSY 6

/*
 A bug of the library; the message says where.
 */
#define PYEXT_BUG 7

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The version of the boundary.
 */
uint32_t pyext_abi_version(void);

/*
 Opens a session with the target that `description` (JSON, UTF-8) describes; its key goes to
 `session`. Nothing of the target is touched yet. On failure the message is that of session 0.

 # Safety
 `description` is valid for reads of `length` bytes, `host` is null or points at a
 [`PyextHost`] whose callbacks stay valid until the session is closed, `session` is valid for a
 write.
 */
pyext_status pyext_session_open(const uint8_t *description,
                                uint64_t length,
                                const struct pyext_host *host,
                                uint64_t *session);

/*
 The target of `session` has run or changed: everything read from its memory is forgotten.
 */
pyext_status pyext_session_invalidate(uint64_t session);

/*
 Closes `session`. Its key is never used again.
 */
pyext_status pyext_session_close(uint64_t session);

/*
 Answers `request` (JSON, UTF-8); the answer (JSON, UTF-8) goes to `out`, which is written only
 on success.

 # Safety
 `request` is valid for reads of `length` bytes, `out` for a write.
 */
pyext_status pyext_query(uint64_t session,
                         const uint8_t *request,
                         uint64_t length,
                         struct pyext_buffer *out);

/*
 Frees what a buffer holds and empties it.

 # Safety
 `buffer` is null or points at a buffer that this library filled and that was not changed since.
 */
void pyext_buffer_free(struct pyext_buffer *buffer);

/*
 The message of the last call on `session` that failed, in UTF-8; of a key that is no session
 (any more), that of the last call without a session.

 # Safety
 `out` is valid for a write.
 */
pyext_status pyext_last_error(uint64_t session, struct pyext_buffer *out);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PYEXT_H */
