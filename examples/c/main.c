/* Scalio's client for C in one page: connect, write, read, write only if nobody else has, values in
 * parts, and many operations in flight on one thread. Build it, and run it against a running
 * server:
 *
 *   cc -std=c99 main.c $(pkg-config --cflags --libs scalio) -o hello
 *   ./hello unix:/path
 */
#define _POSIX_C_SOURCE 200809L

#include <poll.h>
#include <scalio/scalio.h>
#include <stdio.h>

static int fail(scalio_result *failure) {
  fprintf(stderr, "hello: %s: %s\n", scalio_code_name(scalio_result_code(failure)),
          scalio_result_message(failure));
  scalio_result_free(failure);
  return 1;
}

/* Prints `what` and the value of a result, which it frees. Returns whether there was one. */
static int print_value(const char *what, scalio_result *result) {
  size_t size;
  const char *value = scalio_result_value(result, &size);
  if (scalio_result_code(result) != SCALIO_OK) return !fail(result);
  printf("%s = %.*s\n", what, (int)size, value);
  scalio_result_free(result);
  return 1;
}

/* --- Many operations in flight: each calls this, from scalio_queue_poll() --------------------- */

struct progress {
  int ended;
  int failed;
};

static void count(scalio_result *result, void *user) {
  struct progress *progress = user;
  ++progress->ended;
  if (scalio_result_code(result) != SCALIO_OK) ++progress->failed;
  scalio_result_free(result);
}

static int put_many(scalio_client *client, int puts) {
  struct progress progress = {0, 0};
  struct pollfd waited = {0, POLLIN, 0};
  scalio_queue *queue;
  scalio_result *failure = scalio_queue_new((size_t)puts, &queue);
  int begun = 0;
  if (failure) return fail(failure);
  for (; begun < puts && !failure; ++begun) {
    char key[32];
    const int size = snprintf(key, sizeof key, "many-%d", begun);
    failure = scalio_put_async(client, key, (size_t)size, "value", 5, count, &progress, queue);
  }
  if (failure) {
    --begun;
    (void)fail(failure);
  }
  /* Any event loop can wait for this descriptor. */
  waited.fd = scalio_queue_fd(queue);
  while (progress.ended < begun && poll(&waited, 1, -1) >= 0) scalio_queue_poll(queue);
  scalio_queue_free(queue);
  printf("%d of %d written\n", progress.ended - progress.failed, puts);
  return progress.ended - progress.failed != puts;
}

/* --- A value in parts, which so need not be in memory: of 64 MiB as of 100 bytes -------------- */

/* Stands for a file that is read: all may be filled, or less; then it is called again. */
static int fill(scalio_room *room, void *user) {
  int *next = user;
  char *bytes = room->data;
  for (; room->filled < room->size; ++*next) bytes[room->filled++] = (char)('0' + *next % 10);
  return SCALIO_OK;
}

/* And this for one that is written. A code other than SCALIO_OK would end the reading. */
static int add(const scalio_part *part, void *user) {
  const char *bytes = part->data;
  size_t i;
  for (i = 0; i < part->size; ++i) *(int *)user += bytes[i] - '0';
  return SCALIO_OK;
}

static int use_parts(scalio_client *client) {
  const scalio_expiry never = {0, 0};
  int next = 0, sum = 0;
  scalio_result *result = scalio_put_parts(client, "digits", 6, 100, never, fill, &next);
  if (scalio_result_code(result) != SCALIO_OK) return fail(result);
  scalio_result_free(result);
  result = scalio_get_parts(client, "digits", 6, 0, add, &sum);
  if (scalio_result_code(result) != SCALIO_OK) return fail(result);
  printf("%d digits, their sum is %d\n", (int)scalio_result_length(result), sum);
  scalio_result_free(result);
  return 0;
}

static int use(scalio_client *client) {
  scalio_result *put = scalio_put(client, "greeting", 8, "hello, world", 12);
  scalio_result *other;
  if (scalio_result_code(put) != SCALIO_OK) return fail(put);
  if (!print_value("greeting", scalio_get(client, "greeting", 8))) return 1;

  /* A conditional put names the version it replaces; 0 is "no such key", which is not true. */
  other = scalio_put_if(client, "greeting", 8, "mine", 4, 0);
  printf("put_if over an existing key: %s\n", scalio_code_name(scalio_result_code(other)));
  scalio_result_free(other);
  other = scalio_put_if(client, "greeting", 8, "changed", 7, scalio_result_version(put));
  scalio_result_free(put);
  if (scalio_result_code(other) != SCALIO_OK) return fail(other);
  scalio_result_free(other);
  if (!print_value("greeting", scalio_get(client, "greeting", 8))) return 1;

  other = scalio_get(client, "nothing", 7);
  printf("nothing: %s\n", scalio_code_name(scalio_result_code(other)));
  scalio_result_free(other);
  return use_parts(client) || put_many(client, 100);
}

int main(int argc, char **argv) {
  scalio_client *client;
  scalio_result *failure;
  int status;
  if (argc != 2) {
    fprintf(stderr, "usage: hello URI\n");
    return 2;
  }
  failure = scalio_connect(argv[1], NULL, &client);
  if (failure) return fail(failure);
  status = use(client);
  scalio_client_free(client);
  return status;
}
