/* A client of the gateway as hiredis has one: single commands, pipelines of bounded length, errors.
 *
 * usage: scalio-hiredis-client unix-path port
 *
 * Prints "done" if all was as Redis does it. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

/* Commands in flight, and how often so many. */
enum { DEPTH = 64, ROUNDS = 20 };

static void fail(const char* what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static redisReply* take(redisContext* redis, void* reply) {
  if (reply == NULL) fail(redis->errstr);
  return reply;
}

static void expect(redisContext* redis, void* from, int type, const char* text) {
  redisReply* reply = take(redis, from);
  if (reply->type != type) fail("a reply of another type");
  if (text != NULL && (reply->str == NULL || strncmp(reply->str, text, strlen(text)) != 0)) {
    fail(reply->str == NULL ? "a reply without a text" : reply->str);
  }
  freeReplyObject(reply);
}

static void expect_next(redisContext* redis, int type, const char* text) {
  void* reply = NULL;
  if (redisGetReply(redis, &reply) != REDIS_OK) fail(redis->errstr);
  expect(redis, reply, type, text);
}

static void run(redisContext* redis) {
  const struct timeval bound = {60, 0};
  char value[32];
  int round, i;
  if (redis == NULL) fail("no memory");
  if (redis->err) fail(redis->errstr);
  redisSetTimeout(redis, bound);
  expect(redis, redisCommand(redis, "PING"), REDIS_REPLY_STATUS, "PONG");
  expect(redis, redisCommand(redis, "SET %s %b", "binary", "a\0b", (size_t)3), REDIS_REPLY_STATUS,
         "OK");
  expect(redis, redisCommand(redis, "STRLEN binary"), REDIS_REPLY_INTEGER, NULL);
  expect(redis, redisCommand(redis, "GET none"), REDIS_REPLY_NIL, NULL);
  expect(redis, redisCommand(redis, "LPUSH a b"), REDIS_REPLY_ERROR, "ERR unknown command");
  expect(redis, redisCommand(redis, "SLOWLOG GET"), REDIS_REPLY_ARRAY, NULL);
  for (round = 0; round < ROUNDS; ++round) {
    for (i = 0; i < DEPTH; ++i) {
      if (redisAppendCommand(redis, "SET key:%d %d.%d", i, round, i) != REDIS_OK ||
          redisAppendCommand(redis, "GET key:%d", i) != REDIS_OK) {
        fail("a command cannot be appended");
      }
    }
    for (i = 0; i < DEPTH; ++i) {
      snprintf(value, sizeof value, "%d.%d", round, i);
      expect_next(redis, REDIS_REPLY_STATUS, "OK");
      expect_next(redis, REDIS_REPLY_STRING, value);
    }
  }
  redisFree(redis);
}

int main(int argc, char** argv) {
  if (argc != 3) fail("usage: scalio-hiredis-client unix-path port");
  run(redisConnectUnix(argv[1]));
  run(redisConnect("127.0.0.1", atoi(argv[2])));
  puts("done");
  return 0;
}
