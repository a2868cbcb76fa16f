/* The client of a Scalio store for C, and for what calls C: libscalio.so.
 *
 *   scalio_client *client;
 *   scalio_result *failure = scalio_connect("unix:/run/scalio.sock", NULL, &client);
 *   scalio_result *got = scalio_get(client, "key", 3);
 *   if (scalio_result_code(got) == SCALIO_OK) ... scalio_result_value(got, &size) ...
 *   scalio_result_free(got);
 *   scalio_client_free(client);
 *
 * Any thread may use a client at any time; it has threads of its own, which do the work, and a
 * caller either waits for them or gives a function to be called. Operations are linearizable, and
 * what was written is durable. Keys are 1 to 255 bytes, any bytes.
 *
 * Every outcome is a scalio_result: a code, and for failures a sentence that says what happened, to
 * what, and what to do. Functions that return one never return NULL, but for those that say so.
 * Whoever is given a result frees it. Arguments are copied before a function returns; what a
 * pointer to const is returned of, owns it.
 *
 * The library is compatible within its SONAME: functions and codes may be added, nothing else
 * changes. A program should take a code that it does not know for a failure.
 */
#ifndef SCALIO_SCALIO_H
#define SCALIO_SCALIO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum scalio_code {
  SCALIO_OK = 0,
  SCALIO_NOT_FOUND = 1,   /* the key has no value */
  SCALIO_CONFLICT = 2,    /* conditional write: the key's version is another one */
  SCALIO_UNKNOWN = 3,     /* the write was sent, and may or may not happen */
  SCALIO_INVALID = 4,     /* the request itself is wrong */
  SCALIO_TOO_LARGE = 5,   /* key + value exceed what the store takes */
  SCALIO_FULL = 6,        /* no room on the SSD; nothing was written */
  SCALIO_READ_ONLY = 7,   /* no writes after a device error; nothing was written */
  SCALIO_UNAVAILABLE = 8, /* no connection, or resources; a write reported so was never sent */
  SCALIO_TIMED_OUT = 9,   /* a bound on waiting passed; a write reported so was never sent */
  SCALIO_IO_ERROR = 10,   /* a device reported an error */
  SCALIO_CORRUPT = 11,    /* stored bytes contradict each other */
  SCALIO_BUSY = 12,       /* a limit on clients or operations is reached */
  SCALIO_DENIED = 13      /* the server does not let this user in, or not do this */
} scalio_code;

typedef struct scalio_options scalio_options;
typedef struct scalio_client scalio_client;
typedef struct scalio_result scalio_result;
typedef struct scalio_queue scalio_queue;

typedef struct scalio_bytes {
  const void* data;
  size_t size;
} scalio_bytes;

typedef enum scalio_write_kind {
  SCALIO_PUT = 0,
  SCALIO_PUT_IF = 1,
  SCALIO_REMOVE = 2,
  SCALIO_REMOVE_IF = 3
} scalio_write_kind;

/* When a record ends, by the store's clock: from then on there is none, for all clients at once.
 * All 0: never. */
typedef struct scalio_expiry {
  /* Since 1970, and then 0 is never; or from the moment on at which the server takes the write, and
   * then 0, or less, is at once: as good as a deletion. */
  int64_t nanoseconds;
  int from_now;
} scalio_expiry;

/* One write of a batch; what is not of its kind is not looked at. */
typedef struct scalio_write {
  int kind; /* a scalio_write_kind */
  scalio_bytes key;
  scalio_bytes value;   /* of puts */
  uint64_t expected;    /* of SCALIO_PUT_IF and SCALIO_REMOVE_IF */
  scalio_expiry expiry; /* of puts */
} scalio_write;

/* A part of a store. Empty, and at its end, if both are equal. */
typedef struct scalio_range {
  uint64_t begin;
  uint64_t end;
} scalio_range;

/* The version of the library, "0.1.0". */
const char* scalio_version(void);
/* The name of a code, "not_found"; "unknown code" of a number that is none. */
const char* scalio_code_name(int code);

/* --- Options ---------------------------------------------------------------------------------- */

/* The defaults. NULL if there is no memory. What is wrong is said by scalio_connect(). */
scalio_options* scalio_options_new(void);
void scalio_options_free(scalio_options* options);
/* Threads of the client, 1 to 64, each a client to the server. Default 1. */
void scalio_options_set_threads(scalio_options* options, unsigned threads);
/* Operations that a thread may have begun and not ended, 1 to 1,048,576. Default 4,096. */
void scalio_options_set_in_flight(scalio_options* options, size_t operations);
/* How long an operation waits for room when there are as many. Default 0: it is busy at once. */
void scalio_options_set_submit_timeout(scalio_options* options, uint32_t milliseconds);
/* Bounds on connecting (default 5,000), on any one operation (10,000; of a large value, on each
 * step of it), and on resuming a lost connection (2,000). */
void scalio_options_set_connect_timeout(scalio_options* options, uint32_t milliseconds);
void scalio_options_set_operation_timeout(scalio_options* options, uint32_t milliseconds);
void scalio_options_set_resume_timeout(scalio_options* options, uint32_t milliseconds);
/* Where this machine sees the server's SSDs, one path a call, in the order of `scalio stat`; they
 * are read directly. Default: the server says how to read them. */
scalio_code scalio_options_add_ssd_path(scalio_options* options, const char* path);
/* For "tls:host:port", names of files, NULL for none: the CA that has signed the server's
 * certificate, and, where the server asks for one, this client's certificate and private key, all
 * in PEM; or, in place of these, a file with a line "identity:key in hexadecimal digits". */
scalio_code scalio_options_set_tls(scalio_options* options, const char* ca, const char* cert,
                                   const char* key, const char* psk);

/* For an NVMe-oF target that has hosts prove who they are (DH-HMAC-CHAP), the name of a file: the
 * line "NQN SECRET" of this host, or "NQN SECRET CONTROLLER-SECRET". */
scalio_code scalio_options_set_nvmf_dhchap(scalio_options* options, const char* path);
/* Who connects, to a server with users, and its secret; both are copied. */
scalio_code scalio_options_set_user(scalio_options* options, const char* user, const char* secret);

/* --- Connecting ------------------------------------------------------------------------------- */

/* `uri`: "unix:/path", "tcp:host:port", "tls:host:port" or "rdma:host:port"; `options` may be NULL
 * and freed after. Blocks until connected. Returns NULL, and the client in *client; or why there is
 * none, and NULL there. */
scalio_result* scalio_connect(const char* uri, const scalio_options* options,
                              scalio_client** client);
/* Waits until all operations in flight have ended, which their timeouts bound, and leaves. Not by a
 * function that the client calls, and no other thread may use the client meanwhile. In a forked
 * child it does nothing, and every operation fails. NULL is nothing. */
void scalio_client_free(scalio_client* client);
/* The largest key + value, in bytes, that one read of a bucket brings. Of larger ones the value is
 * in the store's value log, if it has one. */
size_t scalio_inline_limit(const scalio_client* client);

/* --- Operations that wait ---------------------------------------------------------------------
 *
 * Not within a function that a thread of the client calls: SCALIO_INVALID. Those that take or give
 * a value's parts are called by the thread that waits, and may. */

/* The key's value, version and end. */
scalio_result* scalio_get(scalio_client* client, const void* key, size_t key_size);
/* Of each key: scalio_result_at(), in their order. All are in flight together. */
scalio_result* scalio_multi_get(scalio_client* client, const scalio_bytes* keys, size_t count);
/* Sets the key's value: its new version. */
scalio_result* scalio_put(scalio_client* client, const void* key, size_t key_size,
                          const void* value, size_t value_size);
/* The same if the key's version is `expected` (0: if it does not exist), else SCALIO_CONFLICT. */
scalio_result* scalio_put_if(scalio_client* client, const void* key, size_t key_size,
                             const void* value, size_t value_size, uint64_t expected);
/* The same two for a record that ends. */
scalio_result* scalio_put_until(scalio_client* client, const void* key, size_t key_size,
                                const void* value, size_t value_size, scalio_expiry expiry);
scalio_result* scalio_put_if_until(scalio_client* client, const void* key, size_t key_size,
                                   const void* value, size_t value_size, uint64_t expected,
                                   scalio_expiry expiry);
/* Gives the key's record another end, or none: its new version; the value stays. If `expected` is
 * not 0, only if that is its version, else SCALIO_CONFLICT. A value that is over the inline limit
 * only with the end is read and put again; SCALIO_TOO_LARGE if the store takes none over it. */
scalio_result* scalio_set_end(scalio_client* client, const void* key, size_t key_size,
                              scalio_expiry expiry, uint64_t expected);
/* Removes the key, whether or not it exists: the deletion's version. */
scalio_result* scalio_remove(scalio_client* client, const void* key, size_t key_size);
/* The same if the key's version is `expected`, else SCALIO_CONFLICT. */
scalio_result* scalio_remove_if(scalio_client* client, const void* key, size_t key_size,
                                uint64_t expected);
/* Appends to the key's value, or to an empty one: the version, and the value's bytes as
 * scalio_result_number(). Done once, between any two other writes of the key. */
scalio_result* scalio_append(scalio_client* client, const void* key, size_t key_size,
                             const void* text, size_t text_size);
/* Adds to the key's value, a decimal number with its sign, or to 0: the version, and the sum as
 * scalio_result_number(). SCALIO_INVALID if the value is no such number, or the sum is none. */
scalio_result* scalio_increment(scalio_client* client, const void* key, size_t key_size,
                                int64_t by);
/* Each write by itself, in any order, all in flight together: scalio_result_at(), as given. */
scalio_result* scalio_batch(scalio_client* client, const scalio_write* writes, size_t count);
/* Divides the store into at most `parts` ranges of about equal size: scalio_result_range() of each
 * scalio_result_at(). Scans of them may run beside each other. */
scalio_result* scalio_scan_ranges(scalio_client* client, size_t parts);
/* The records of the first part of a range, in no order: scalio_result_at(), each with its key;
 * scalio_result_range() is what is left. What exists throughout a scan is found once. A value over
 * the inline limit is not read, and empty here, but scalio_result_length() is not 0: scalio_get()
 * gives it. */
scalio_result* scalio_scan(scalio_client* client, scalio_range range);
/* The server's statistics: JSON, as the value. */
scalio_result* scalio_stat(scalio_client* client);

/* --- Values in parts --------------------------------------------------------------------------
 *
 * For values that need not be in memory as a whole. These operations wait, too, and take 1 MiB each
 * at most. The thread that waits calls your function, part by part: it may take its time, read a
 * file or a socket, and use this client; nothing else of the client waits for it. Whatever it does,
 * it must return: no exception, no longjmp().
 *
 * It returns SCALIO_OK; any other code ends the operation, which fails with that code. What has an
 * event loop gives these operations a thread. */

/* Bytes of a value, which are there until the function returns. */
typedef struct scalio_part {
  const void* data;
  size_t size;
  uint64_t offset; /* of them in the value */
  uint64_t length; /* of the whole value */
  uint64_t version;
  int64_t end; /* of the record: ns since 1970; 0: never */
} scalio_part;
typedef int (*scalio_take_part)(const scalio_part* part, void* user);

/* Room for the next bytes of a value. */
typedef struct scalio_room {
  void* data;
  size_t size;
  size_t filled; /* 0; set it to the bytes that are there now, 1 or more, as many as you like */
} scalio_room;
typedef int (*scalio_fill_part)(scalio_room* room, void* user);

/* The key's value from byte `from` on, in its order, in parts of at most 64 KiB, each checked, all
 * of one version; at least one, which is empty if there is nothing behind `from`. The result has
 * version, end and scalio_result_length(). If it fails, a part of the value may have been given:
 * SCALIO_CONFLICT, if the value was overwritten or removed then, and its place used again. */
scalio_result* scalio_get_parts(scalio_client* client, const void* key, size_t key_size,
                                uint64_t from, scalio_take_part take, void* user);
/* Sets the key's value to the `length` bytes that the function gives: its new version. It is called
 * again for what it has left of a room. The key has the value when it is whole. Nothing is written
 * if the function ends that, leaves a room as it is (SCALIO_INVALID), or takes 30 s for a part of a
 * value over the inline limit (SCALIO_UNAVAILABLE). It is not called for a length of 0, or one that
 * the store does not take. The record ends as `expiry` says. */
scalio_result* scalio_put_parts(scalio_client* client, const void* key, size_t key_size,
                                uint64_t length, scalio_expiry expiry, scalio_fill_part fill,
                                void* user);
/* The same if the key's version is `expected` (0: if it does not exist), else SCALIO_CONFLICT, once
 * all parts have been given. */
scalio_result* scalio_put_parts_if(scalio_client* client, const void* key, size_t key_size,
                                   uint64_t length, uint64_t expected, scalio_expiry expiry,
                                   scalio_fill_part fill, void* user);

/* --- Operations that call a function ----------------------------------------------------------
 *
 * Each returns NULL once it has begun: `done` is then called exactly once, with the result, which
 * it frees, and `user`. Else it returns why it has not begun, and `done` is not called.
 *
 * Without a queue, a thread of the client calls it: it should be short, must not wait for an
 * operation of this client, and may begin operations. With a queue, scalio_queue_poll() calls
 * it. */
typedef void (*scalio_done)(scalio_result* result, void* user);

scalio_result* scalio_get_async(scalio_client* client, const void* key, size_t key_size,
                                scalio_done done, void* user, scalio_queue* queue);
scalio_result* scalio_multi_get_async(scalio_client* client, const scalio_bytes* keys, size_t count,
                                      scalio_done done, void* user, scalio_queue* queue);
scalio_result* scalio_put_async(scalio_client* client, const void* key, size_t key_size,
                                const void* value, size_t value_size, scalio_done done, void* user,
                                scalio_queue* queue);
scalio_result* scalio_put_if_async(scalio_client* client, const void* key, size_t key_size,
                                   const void* value, size_t value_size, uint64_t expected,
                                   scalio_done done, void* user, scalio_queue* queue);
scalio_result* scalio_put_until_async(scalio_client* client, const void* key, size_t key_size,
                                      const void* value, size_t value_size, scalio_expiry expiry,
                                      scalio_done done, void* user, scalio_queue* queue);
scalio_result* scalio_put_if_until_async(scalio_client* client, const void* key, size_t key_size,
                                         const void* value, size_t value_size, uint64_t expected,
                                         scalio_expiry expiry, scalio_done done, void* user,
                                         scalio_queue* queue);
scalio_result* scalio_set_end_async(scalio_client* client, const void* key, size_t key_size,
                                    scalio_expiry expiry, uint64_t expected, scalio_done done,
                                    void* user, scalio_queue* queue);
scalio_result* scalio_remove_async(scalio_client* client, const void* key, size_t key_size,
                                   scalio_done done, void* user, scalio_queue* queue);
scalio_result* scalio_remove_if_async(scalio_client* client, const void* key, size_t key_size,
                                      uint64_t expected, scalio_done done, void* user,
                                      scalio_queue* queue);
scalio_result* scalio_append_async(scalio_client* client, const void* key, size_t key_size,
                                   const void* text, size_t text_size, scalio_done done, void* user,
                                   scalio_queue* queue);
scalio_result* scalio_increment_async(scalio_client* client, const void* key, size_t key_size,
                                      int64_t by, scalio_done done, void* user,
                                      scalio_queue* queue);
scalio_result* scalio_batch_async(scalio_client* client, const scalio_write* writes, size_t count,
                                  scalio_done done, void* user, scalio_queue* queue);
scalio_result* scalio_scan_ranges_async(scalio_client* client, size_t parts, scalio_done done,
                                        void* user, scalio_queue* queue);
scalio_result* scalio_scan_async(scalio_client* client, scalio_range range, scalio_done done,
                                 void* user, scalio_queue* queue);
scalio_result* scalio_stat_async(scalio_client* client, scalio_done done, void* user,
                                 scalio_queue* queue);

/* Brings results to the thread of an event loop. `limit`, at least 1: operations that were begun
 * for the queue and not yet brought; what comes beyond it is busy. Returns NULL, and the queue in
 * *queue; or why there is none, and NULL there. */
scalio_result* scalio_queue_new(size_t limit, scalio_queue** queue);
/* What it has not brought is dropped: those functions are not called. NULL is nothing. */
void scalio_queue_free(scalio_queue* queue);
/* Can be read while there is something to bring. Only to be waited for. */
int scalio_queue_fd(const scalio_queue* queue);
/* Calls the functions of what has ended, without waiting, and returns how many. One thread at a
 * time, and not within such a function. */
size_t scalio_queue_poll(scalio_queue* queue);

/* --- Results ----------------------------------------------------------------------------------
 *
 * What a result does not have is 0, empty or NULL. */

scalio_code scalio_result_code(const scalio_result* result);
/* "" of success. */
const char* scalio_result_message(const scalio_result* result);
/* Not ended by a 0, but never NULL. Its size, in *size. */
const void* scalio_result_value(const scalio_result* result, size_t* size);
/* Bytes of the value, also of one that a scan has found and not read, or that came in parts. */
uint64_t scalio_result_length(const scalio_result* result);
uint64_t scalio_result_version(const scalio_result* result);
/* Of a record: ns since 1970. */
int64_t scalio_result_end(const scalio_result* result);
/* Of an append the value's bytes, of an increment the sum. */
int64_t scalio_result_number(const scalio_result* result);
/* Of these two: the version that they were done to; 0 if the key did not exist. */
uint64_t scalio_result_previous(const scalio_result* result);
/* The parts of a multi_get, a batch, scan_ranges or a scan. NULL if there are no so many. */
size_t scalio_result_count(const scalio_result* result);
const scalio_result* scalio_result_at(const scalio_result* result, size_t index);
/* Of a record that a scan has found, which is a part. As scalio_result_value(). */
const void* scalio_result_key(const scalio_result* result, size_t* size);
/* Of a scan: what is left. Of a part of scan_ranges: the range. */
scalio_range scalio_result_range(const scalio_result* result);
/* With all its parts. NULL is nothing. */
void scalio_result_free(scalio_result* result);

#ifdef __cplusplus
}
#endif

#endif /* SCALIO_SCALIO_H */
