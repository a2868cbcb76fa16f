// The gateway for clients of Redis, over a store, as processes: each command, its errors, what
// hostile and slow clients do, and Redis's own programs and library.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <scalio/client.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <thread>
#include <vector>

#include "support/redis_client.h"
#include "testing/sanitizer.h"

namespace scalio::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

class Redis : public ::testing::Test {
 protected:
  explicit Redis(StoreOptions options = {.format = {"--inline-limit", "960"}})
      : store_(scratch_, std::move(options)) {}
  void SetUp() override {
    ASSERT_TRUE(store_.start());
    ASSERT_TRUE(gateway_.start());
  }
  RedisClient connect() const { return RedisClient(gateway_.path()); }
  std::string port() const { return std::to_string(gateway_.port()); }

  Scratch scratch_{"redis"};
  Store store_;
  RedisGateway gateway_{
      scratch_, store_.unix_uri(), {"--timeout", "3", "--max-clients", "128", "--slow", "0"}};
};

struct Asked {
  std::vector<std::string> request;
  std::string reply;
};

// Each in turn, so that a later one sees what an earlier one did.
void expect(RedisClient& client, const std::vector<Asked>& all) {
  for (const Asked& asked : all) {
    EXPECT_EQ(client.say(asked.request), asked.reply) << ::testing::PrintToString(asked.request);
  }
}

constexpr char kNoInteger[] = "-ERR value is not an integer or out of range";
constexpr char kSyntax[] = "-ERR syntax error";

TEST_F(Redis, SetsAndGetsValues) {
  RedisClient client = connect();
  expect(client, {
                     {{"GET", "a"}, "$-"},
                     {{"SET", "a", "1"}, "+OK"},
                     {{"get", "a"}, "$1"},
                     {{"SET", "a", "2", "NX"}, "$-"},
                     {{"SET", "b", "2", "XX"}, "$-"},
                     {{"SET", "b", "2", "nx"}, "+OK"},
                     {{"SET", "b", "3", "xx", "KEEPTTL"}, "+OK"},
                     {{"SET", "b", "4", "GET"}, "$3"},
                     {{"SET", "c", "5", "GET"}, "$-"},
                     {{"SET", "c", "6", "NX", "GET"}, "$5"},
                     {{"SET", "d", "6", "NX", "GET"}, "$-"},
                     {{"SET", "e", "6", "XX", "GET"}, "$-"},
                     {{"SET", "c", "7", "XX", "GET"}, "$5"},
                     {{"MGET", "a", "b", "c", "d", "e", "a"}, "*($1 $4 $7 $6 $- $1)"},
                     {{"SET", "a", "1", "NX", "XX"}, kSyntax},
                     {{"SET", "a", "1", "NOW"}, kSyntax},
                     {{"SETNX", "a", "9"}, ":0"},
                     {{"SETNX", "n", "9"}, ":1"},
                     {{"GETSET", "n", "10"}, "$9"},
                     {{"GETSET", "n2", "10"}, "$-"},
                     {{"GETDEL", "n"}, "$10"},
                     {{"GETDEL", "n"}, "$-"},
                     {{"MSET", "m", "1", "l", "2", "m", "3"}, "+OK"},
                     {{"MGET", "m", "l"}, "*($3 $2)"},
                     {{"MSET", "m", "1", "l"}, "-ERR wrong number of arguments for 'mset' command"},
                     {{"SET", "", "1"}, "-ERR a key of 0 bytes: keys have 1 to 255"},
                     {{"SET", "binary", std::string("\0\r\n\xff", 4)}, "+OK"},
                     {{"GET", "binary"}, "$" + std::string("\0\r\n\xff", 4)},
                 });
  EXPECT_THAT(client.say({"SET", "a", std::string(5000, 'x')}), StartsWith("-ERR too large: "));
  EXPECT_THAT(client.say({"SET", std::string(256, 'k'), "1"}), StartsWith("-ERR a key of 256"));
  EXPECT_EQ(client.say({"GET", "a"}), "$1");
}

// By what TTL says, in seconds, a minute of which may have passed.
void expect_left(RedisClient& client, const char* key, int seconds) {
  const std::string told = client.say({"TTL", key});
  const int left = std::atoi(told.c_str() + 1);
  EXPECT_TRUE(left > seconds - 60 && left <= seconds) << told;
}

TEST_F(Redis, KeysEnd) {
  RedisClient client = connect();
  const std::string invalid = "-ERR invalid expire time in ";
  expect(client, {
                     {{"TTL", "a"}, ":-2"},
                     {{"SET", "a", "1"}, "+OK"},
                     {{"TTL", "a"}, ":-1"},
                     {{"EXPIRETIME", "a"}, ":-1"},
                     {{"EXPIRE", "a", "1000"}, ":1"},
                 });
  expect_left(client, "a", 1000);
  expect(client, {
                     {{"EXPIRE", "none", "1000"}, ":0"},
                     {{"EXPIRE", "a", "2000", "NX"}, ":0"},
                     {{"EXPIRE", "a", "2000", "GT"}, ":1"},
                     {{"EXPIRE", "a", "1000", "GT"}, ":0"},
                     {{"EXPIRE", "a", "1000", "LT"}, ":1"},
                     {{"PEXPIRE", "a", "2000000", "XX"}, ":1"},
                 });
  expect_left(client, "a", 2000);
  expect(client, {
                     {{"EXPIRE", "a", "1", "NX", "XX"},
                      "-ERR NX and XX, GT or LT options at the same time are not compatible"},
                     {{"EXPIRE", "a", "1", "FOO"}, "-ERR Unsupported option FOO"},
                     {{"EXPIRE", "a", "x"}, kNoInteger},
                     {{"EXPIRE", "a", "9223372036854775807"}, invalid + "'expire' command"},
                     {{"APPEND", "a", "2"}, ":2"},
                     {{"INCR", "a"}, ":13"},
                     {{"SETRANGE", "a", "0", "9"}, ":2"},
                     {{"SET", "a", "5", "KEEPTTL"}, "+OK"},
                 });
  expect_left(client, "a", 2000);
  expect(client,
         {
             {{"PERSIST", "a"}, ":1"},
             {{"PERSIST", "a"}, ":0"},
             {{"TTL", "a"}, ":-1"},
             {{"EXPIREAT", "a", "32503680000"}, "-ERR invalid expire time in 'expireat' command"},
             {{"EXPIREAT", "a", "4102444800"}, ":1"},
             {{"EXPIRETIME", "a"}, ":4102444800"},
             {{"PEXPIRETIME", "a"}, ":4102444800000"},
             {{"GETEX", "a", "PERSIST"}, "$5"},
             {{"TTL", "a"}, ":-1"},
             {{"GETEX", "a", "EX", "100"}, "$5"},
         });
  expect_left(client, "a", 100);
  expect(client, {
                     {{"GETEX", "a", "EX", "0"}, invalid + "'getex' command"},
                     {{"GETEX", "none"}, "$-"},
                 });
}

TEST_F(Redis, TimesAreRefusedThatEndTooFarAway) {
  RedisClient client = connect();
  const std::string invalid = "-ERR invalid expire time in ";
  const std::string century = "3155760000";  // in seconds
  expect(client, {
                     {{"SET", "a", "1"}, "+OK"},
                     {{"EXPIREAT", "a", "4733510400"}, invalid + "'expireat' command"},  // 2120
                     {{"EXPIRE", "a", century}, invalid + "'expire' command"},
                     {{"PEXPIRE", "a", century + "000"}, invalid + "'pexpire' command"},
                     {{"SET", "a", "2", "EX", century}, invalid + "'set' command"},
                     {{"SETEX", "a", century, "2"}, invalid + "'setex' command"},
                     {{"GETEX", "a", "PX", century + "000"}, invalid + "'getex' command"},
                     {{"TTL", "a"}, ":-1"},
                     {{"EXPIRE", "a", "315576000"}, ":1"},
                     {{"GET", "a"}, "$1"},
                 });
}

// With its end the record is over the inline limit, and this store takes no value over it.
TEST_F(Redis, AnEndForWhichThereIsNoRoomIsRefused) {
  RedisClient client = connect();
  const std::string value(950, 'v');
  EXPECT_EQ(client.say({"SET", "near", value}), "+OK");
  EXPECT_THAT(client.say({"EXPIRE", "near", "1000"}), StartsWith("-ERR too large: "));
  EXPECT_THAT(client.say({"GETEX", "near", "EX", "1000"}), StartsWith("-ERR too large: "));
  expect(client, {{{"TTL", "near"}, ":-1"}, {{"GET", "near"}, "$" + value}});
}

TEST_F(Redis, KeysAreSetForATime) {
  RedisClient client = connect();
  const std::string invalid = "-ERR invalid expire time in ";
  expect(client, {
                     {{"SET", "a", "6"}, "+OK"},
                     {{"TTL", "a"}, ":-1"},
                     {{"SET", "a", "6", "EX", "100"}, "+OK"},
                 });
  expect_left(client, "a", 100);
  expect(client, {
                     {{"GETSET", "a", "7"}, "$6"},
                     {{"TTL", "a"}, ":-1"},
                     {{"SET", "a", "6", "EX", "0"}, invalid + "'set' command"},
                     {{"SET", "a", "6", "EX"}, kSyntax},
                     {{"SET", "a", "6", "EX", "9", "KEEPTTL"}, kSyntax},
                     {{"SET", "a", "6", "EX", "9", "PX", "9"}, kSyntax},
                     {{"SETEX", "b", "100", "7"}, "+OK"},
                 });
  expect_left(client, "b", 100);
  expect(client, {
                     {{"PSETEX", "b", "0", "7"}, invalid + "'psetex' command"},
                     {{"EXPIRE", "b", "-1"}, ":1"},
                     {{"GET", "b"}, "$-"},
                     {{"SET", "b", "8", "NX", "PX", "50"}, "+OK"},
                 });
  while (client.say({"GET", "b"}) == "$8") {
  }
  EXPECT_EQ(client.say({"GET", "b"}), "$-");
  EXPECT_EQ(client.say({"EXISTS", "b"}), ":0");
  EXPECT_EQ(client.say({"SET", "b", "9", "NX"}), "+OK");
}

TEST_F(Redis, ChangesPartsOfValues) {
  RedisClient client = connect();
  const std::string overflow = "-ERR increment or decrement would overflow";
  expect(client, {
                     {{"APPEND", "s", "Hello"}, ":5"},
                     {{"APPEND", "s", " World"}, ":11"},
                     {{"STRLEN", "s"}, ":11"},
                     {{"STRLEN", "none"}, ":0"},
                     {{"GETRANGE", "s", "0", "4"}, "$Hello"},
                     {{"SUBSTR", "s", "-5", "-1"}, "$World"},
                     {{"GETRANGE", "s", "-100", "100"}, "$Hello World"},
                     {{"GETRANGE", "s", "0", "-100"}, "$H"},
                     {{"SUBSTR", "s", "-100", "-50"}, "$H"},
                     {{"GETRANGE", "s", "1", "-100"}, "$"},
                     {{"GETRANGE", "s", "5", "3"}, "$"},
                     {{"GETRANGE", "s", "-1", "-5"}, "$"},
                     {{"GETRANGE", "none", "0", "-1"}, "$"},
                     {{"SET", "empty", ""}, "+OK"},
                     {{"GETRANGE", "empty", "0", "-100"}, "$"},
                     {{"GETRANGE", "s", "x", "1"}, kNoInteger},
                     {{"SETRANGE", "s", "6", "Redis"}, ":11"},
                     {{"GET", "s"}, "$Hello Redis"},
                     {{"SETRANGE", "z", "3", "x"}, ":4"},
                     {{"GET", "z"}, "$" + std::string("\0\0\0x", 4)},
                     {{"SETRANGE", "none", "9", ""}, ":0"},
                     {{"EXISTS", "none"}, ":0"},
                     {{"SETRANGE", "s", "-1", "x"}, "-ERR offset is out of range"},
                     {{"SETRANGE", "s", "x", "x"}, kNoInteger},
                     {{"INCR", "i"}, ":1"},
                     {{"INCRBY", "i", "41"}, ":42"},
                     {{"DECR", "i"}, ":41"},
                     {{"DECRBY", "i", "-1"}, ":42"},
                     {{"INCRBY", "i", "one"}, kNoInteger},
                     {{"INCR", "s"}, kNoInteger},
                     {{"SET", "i", "9223372036854775807"}, "+OK"},
                     {{"INCR", "i"}, overflow},
                     {{"GET", "i"}, "$9223372036854775807"},
                     {{"DECRBY", "i", "-9223372036854775808"}, "-ERR decrement would overflow"},
                     {{"INCRBYFLOAT", "f", "10.50"}, "$10.5"},
                     {{"INCRBYFLOAT", "f", "-0.5"}, "$10"},
                     {{"INCRBYFLOAT", "f", "5.0e3"}, "$5010"},
                     {{"INCRBYFLOAT", "f", "x"}, "-ERR value is not a valid float"},
                     {{"INCRBYFLOAT", "s", "1"}, "-ERR value is not a valid float"},
                     {{"SET", "f", "0"}, "+OK"},
                     {{"INCRBYFLOAT", "f", "18446744073709551616"}, "$18446744073709551616"},
                     {{"INCRBYFLOAT", "f", "18446744073709551616"}, "$36893488147419103232"},
                     {{"INCRBYFLOAT", "f", "inf"}, "-ERR value is not a valid float"},
                 });
  // As many digits as it takes, which it takes again.
  const std::string large = client.say({"INCRBYFLOAT", "large", "1e308"});
  EXPECT_GE(large.size(), 1 + 308u);
  EXPECT_NE(large[1], '0');
  EXPECT_EQ(client.say({"INCRBYFLOAT", "large", "0"}), large);
  EXPECT_THAT(client.say({"SETRANGE", "s", "4294967296", "x"}), StartsWith("-ERR string exceeds"));
  EXPECT_THAT(client.say({"APPEND", "s", std::string(2000, 'x')}),
              StartsWith("-ERR string exceeds maximum allowed size"));
  EXPECT_EQ(client.say({"GET", "s"}), "$Hello Redis");
}

TEST_F(Redis, HandlesKeys) {
  RedisClient client = connect();
  expect(client, {
                     {{"DBSIZE"}, ":0"},
                     {{"RANDOMKEY"}, "$-"},
                     {{"MSET", "user:1", "a", "user:2", "b", "other", "c"}, "+OK"},
                     {{"EXISTS", "user:1", "user:1", "none"}, ":2"},
                     {{"TYPE", "user:1"}, "+string"},
                     {{"TYPE", "none"}, "+none"},
                     {{"TTL", "user:1"}, ":-1"},
                     {{"PTTL", "none"}, ":-2"},
                     {{"PERSIST", "user:1"}, ":0"},
                     {{"DBSIZE"}, ":3"},
                     {{"KEYS", "o*"}, "*($other)"},
                     {{"DEL", "user:1", "none", "user:1"}, ":1"},
                     {{"UNLINK", "user:2"}, ":1"},
                     {{"RANDOMKEY"}, "$other"},
                     {{"SCAN", "x"}, "-ERR invalid cursor"},
                     {{"SCAN", "-"}, "-ERR invalid cursor"},
                     {{"SCAN", "18446744073709551616"}, "-ERR invalid cursor"},
                     {{"SCAN", "18446744073709551615"}, "*($0 *())"},
                     {{"SCAN", "-1"}, "*($0 *())"},
                     {{"SCAN", "0", "MATCH"}, kSyntax},
                     {{"SCAN", "0", "COUNT", "0"}, kSyntax},
                     {{"SCAN", "0", "COUNT", "x"}, kNoInteger},
                 });
}

TEST_F(Redis, ScansAllKeys) {
  RedisClient client = connect();
  constexpr int kKeys = 3000;
  for (int i = 0; i < kKeys; ++i) {
    client.send(RedisClient::request({"SET", "key:" + std::to_string(i), "v"}));
  }
  for (int i = 0; i < kKeys; ++i) ASSERT_EQ(RedisClient::text(client.receive()), "+OK");
  std::set<std::string> found;
  std::string cursor = "0";
  int steps = 0;
  do {
    const RespReply reply = client.ask({"SCAN", cursor, "MATCH", "key:*[05]"});
    ASSERT_EQ(reply.elements.size(), 2u);
    cursor = reply.elements[0].text;
    for (const RespReply& key : reply.elements[1].elements) found.insert(key.text);
    ++steps;
  } while (cursor != "0");
  EXPECT_EQ(found.size(), kKeys / 5u);
  EXPECT_GT(steps, 1);
  EXPECT_EQ(client.say({"DBSIZE"}), ":" + std::to_string(kKeys));
  EXPECT_EQ(client.ask({"KEYS", "key:*"}).elements.size(), std::size_t{kKeys});
  EXPECT_TRUE(client.ask({"SCAN", "0", "TYPE", "list"}).elements.at(1).elements.empty());
  // What it costs to look at a key does not grow without bound with the pattern.
  const std::string longest(1024, '*'), longer = longest + "*";
  EXPECT_EQ(client.ask({"KEYS", longest}).elements.size(), std::size_t{kKeys});
  EXPECT_EQ(client.ask({"SCAN", "0", "MATCH", longest}).elements.size(), 2u);
  constexpr char kTooLong[] = "-ERR a pattern of more than 1024 bytes";
  EXPECT_EQ(client.say({"KEYS", longer}), kTooLong);
  EXPECT_EQ(client.say({"SCAN", "0", "MATCH", longer}), kTooLong);
  EXPECT_EQ(client.say({"CONFIG", "GET", longer}), kTooLong);
  EXPECT_EQ(client.say({"CONFIG", "GET", "save", longest}).find("-ERR"), std::string::npos);
  std::vector<std::string> patterns(2 + 65, "save");
  patterns[0] = "CONFIG";
  patterns[1] = "GET";
  EXPECT_EQ(client.say(patterns), "-ERR more than 64 patterns");
}

TEST_F(Redis, SpeaksBothProtocols) {
  RedisClient client = connect();
  EXPECT_EQ(client.say({"GET", "none"}), "$-");
  EXPECT_THAT(client.say({"HELLO"}), StartsWith("*($server $scalio $version $7.0.0 $proto :2"));
  EXPECT_THAT(client.say({"HELLO", "3", "SETNAME", "me"}),
              StartsWith("%($server $scalio $version $7.0.0 $proto :3"));
  EXPECT_EQ(client.say({"GET", "none"}), "_-");
  EXPECT_EQ(client.say({"CONFIG", "GET", "databases"}), "%($databases $1)");
  EXPECT_THAT(client.say({"INFO", "clients"}), StartsWith("=txt:# Clients\r\nconnected_clients:1"));
  EXPECT_THAT(client.say({"COMMAND", "INFO", "get"}), StartsWith("*(*($get :2 ~(+readonly +fast)"));
  EXPECT_EQ(client.say({"CLIENT", "GETNAME"}), "$me");
  EXPECT_EQ(client.say({"HELLO", "4"}), "-NOPROTO unsupported protocol version");
  EXPECT_EQ(client.say({"HELLO", "x"}), "-ERR Protocol version is not an integer or out of range");
  EXPECT_THAT(client.say({"HELLO", "3", "AUTH", "default", "x"}), StartsWith("-ERR AUTH"));
  EXPECT_EQ(client.say({"HELLO", "3", "X"}), "-ERR Syntax error in HELLO option 'X'");
  EXPECT_EQ(client.say({"RESET"}), "+RESET");
  EXPECT_EQ(client.say({"GET", "none"}), "$-");
  EXPECT_EQ(client.say({"CLIENT", "GETNAME"}), "$-");
}

TEST_F(Redis, AnswersAboutItself) {
  RedisClient client = connect();
  expect(
      client,
      {
          {{"PING"}, "+PONG"},
          {{"PING", "x"}, "$x"},
          {{"PING", "x", "y"}, "-ERR wrong number of arguments for 'ping' command"},
          {{"ECHO", "x"}, "$x"},
          {{"SELECT", "0"}, "+OK"},
          {{"SELECT", "1"}, "-ERR DB index is out of range"},
          {{"SELECT", "x"}, kNoInteger},
          {{"CLIENT", "ID"}, ":1"},
          {{"CLIENT", "SETNAME", "a b"},
           "-ERR Client names cannot contain spaces, newlines or special characters."},
          {{"CLIENT", "SETNAME", "test"}, "+OK"},
          {{"CLIENT", "SETINFO", "LIB-NAME", "lib"}, "+OK"},
          {{"CLIENT", "SETINFO", "lib-ver", "1"}, "+OK"},
          {{"CLIENT", "SETINFO", "x", "1"}, "-ERR Unrecognized option 'x'"},
          {{"CLIENT", "SETNAME"}, "-ERR wrong number of arguments for 'client|setname' command"},
          {{"CLIENT", "NO-EVICT", "on"}, "+OK"},
          {{"CLIENT", "NO-EVICT", "x"}, kSyntax},
          {{"CONFIG", "GET", "SAVE", "append*"},
           "*($appendonly $yes $appendfsync $always $save $)"},
          {{"CONFIG", "GET"}, "-ERR wrong number of arguments for 'config|get' command"},
          {{"GET"}, "-ERR wrong number of arguments for 'get' command"},
          {{"NOPE", "a", "b"}, "-ERR unknown command 'NOPE', with args beginning with: 'a' 'b' "},
          {{"LPUSH", "a", "1"}, "-ERR unknown command 'LPUSH', with args beginning with: 'a' '1' "},
      });
  EXPECT_THAT(client.say({"AUTH", "secret"}), HasSubstr("without any password configured"));
  EXPECT_THAT(client.say({"CLIENT", "LIST"}),
              HasSubstr("cmd=client user=default redir=-1 resp=2 lib-name=lib lib-ver=1"));
  EXPECT_THAT(
      client.say({"CLIENT", "INFO"}),
      MatchesRegex("\\$id=1 addr=/[^ ]+:0 laddr=/[^ ]+:0 name=test age=[0-9]+ idle=[0-9]+ flags=U "
                   "db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=0 .* omem=[0-9]+ tot-mem=.*"));
  EXPECT_THAT(client.say({"CLIENT", "KILL"}), StartsWith("-ERR unknown subcommand 'KILL'"));
  EXPECT_THAT(client.say({"CONFIG", "SET", "a", "b"}), StartsWith("-ERR unknown subcommand 'SET'"));
  EXPECT_THAT(client.say({"INFO"}), HasSubstr("redis_version:7.0.0"));
  const std::string count = client.say({"COMMAND", "COUNT"});
  EXPECT_EQ(":" + std::to_string(client.ask({"COMMAND"}).elements.size()), count);
  EXPECT_THAT(client.say({"COMMAND", "DOCS", "get", "nope"}),
              StartsWith("*($get *($summary $The value of a key"));
  EXPECT_EQ(client.say({"COMMAND", "INFO", "nope"}), "*($-)");
  for (const char* which : {"INFO", "DOCS"}) {
    std::vector<std::string> words(2 + 257, "get");
    words[0] = "COMMAND";
    words[1] = which;
    EXPECT_THAT(client.say(words), StartsWith("-ERR more than 256 names")) << which;
    words.pop_back();
    EXPECT_THAT(client.say(words), StartsWith("*(")) << which;
  }
  EXPECT_EQ(":" + std::to_string(client.ask({"COMMAND", "LIST"}).elements.size()), count);
  EXPECT_THAT(client.say({"COMMAND", "LIST"}), HasSubstr("$getrange "));
  EXPECT_EQ(client.say({"COMMAND", "LIST", "X"}), kSyntax);
  EXPECT_EQ(client.say({"COMMAND", "X"}), "-ERR unknown subcommand 'X'. Try COMMAND HELP.");
  for (const char* name : {"CLIENT", "COMMAND", "CONFIG", "LATENCY", "SLOWLOG"}) {
    EXPECT_THAT(client.say({name, "HELP"}),
                MatchesRegex(std::string("\\*\\(\\+") + name +
                             " <subcommand> .*: .*\\+HELP \\+    Print this help\\.\\)"));
    EXPECT_THAT(client.say({name, "help", "x"}),
                StartsWith("-ERR wrong number of arguments for '"));
  }
  EXPECT_EQ(client.say({"QUIT"}), "+OK");
  EXPECT_TRUE(client.closed());
}

// What one client sends without waiting is done in its order, as far as the keys are the same.
TEST_F(Redis, AnswersAPipelineInOrder) {
  RedisClient client = connect();
  std::string bytes;
  constexpr int kRounds = 500;
  for (int i = 0; i < kRounds; ++i) {
    const std::string n = std::to_string(i), key = "key:" + std::to_string(i % 7);
    bytes += RedisClient::request({"SET", key, n});
    bytes += RedisClient::request({"GET", key});
    bytes += RedisClient::request({"PING", n});
    bytes += RedisClient::request({"INCR", "count"});
    bytes += RedisClient::request({"NOPE"});
  }
  ASSERT_TRUE(client.send(bytes + RedisClient::request({"MGET", "key:0", "count"})));
  for (int i = 0; i < kRounds; ++i) {
    const std::string n = std::to_string(i);
    ASSERT_EQ(RedisClient::text(client.receive()), "+OK");
    ASSERT_EQ(RedisClient::text(client.receive()), "$" + n);
    ASSERT_EQ(RedisClient::text(client.receive()), "$" + n);
    ASSERT_EQ(RedisClient::text(client.receive()), ":" + std::to_string(i + 1));
    ASSERT_THAT(RedisClient::text(client.receive()), StartsWith("-ERR unknown command"));
  }
  EXPECT_EQ(RedisClient::text(client.receive()), "*($497 $500)");
}

TEST_F(Redis, CountsEachIncrementOfManyClientsOnce) {
  std::vector<RedisClient> clients;
  constexpr int kClients = 8, kEach = 50;
  for (int i = 0; i < kClients; ++i) clients.push_back(connect());
  for (RedisClient& client : clients) {
    std::string bytes;
    for (int i = 0; i < kEach; ++i) {
      bytes += RedisClient::request({"INCR", "count"}) + RedisClient::request({"APPEND", "s", "x"});
    }
    ASSERT_TRUE(client.send(bytes));
  }
  for (RedisClient& client : clients) {
    for (int i = 0; i < 2 * kEach; ++i) {
      ASSERT_THAT(RedisClient::text(client.receive()), StartsWith(":"));
    }
  }
  EXPECT_EQ(clients[0].say({"MGET", "count"}), "*($" + std::to_string(kClients * kEach) + ")");
  EXPECT_EQ(clients[0].say({"STRLEN", "s"}), ":" + std::to_string(kClients * kEach));
}

// A client of another kind that writes meanwhile: what is read and written is not lost either.
TEST_F(Redis, ChangesAtomicallyBesideOtherClients) {
  auto native = Client::connect(store_.unix_uri());
  ASSERT_TRUE(native.ok());
  RedisClient client = connect();
  constexpr int kEach = 200;
  std::string bytes;
  for (int i = 0; i < kEach; ++i) bytes += RedisClient::request({"INCR", "n"});
  ASSERT_TRUE(client.send(bytes));
  for (int done = 0; done < kEach;) {
    const Result<Record> now = (*native)->run((*native)->get("n"));
    const int number = now.ok() ? std::stoi(now->value) : 0;
    const std::string next = std::to_string(number + 1);
    done += (*native)->run((*native)->put_if("n", next, now.ok() ? now->version : 0)).ok();
  }
  int counted = 0;
  for (int i = 0; i < kEach; ++i) {
    const std::string reply = RedisClient::text(client.receive());
    // On a slow machine the other one may have been the faster one for long.
    if (reply.find("others wrote the key") == std::string::npos) {
      ASSERT_THAT(reply, StartsWith(":"));
      ++counted;
    }
  }
  EXPECT_GT(counted, 0);
  EXPECT_EQ(client.say({"GET", "n"}), "$" + std::to_string(kEach + counted));
}

// Of many that would delete a key, one has done it, and has its value.
TEST_F(Redis, DeletesAKeyOnce) {
  std::vector<RedisClient> clients;
  constexpr int kClients = 6, kRounds = 20;
  for (int i = 0; i < kClients; ++i) clients.push_back(connect());
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_EQ(clients[0].say({"MSET", "a", "1", "b", "2"}), "+OK");
    for (RedisClient& client : clients) {
      client.send(RedisClient::request({"GETDEL", "a"}) + RedisClient::request({"DEL", "b"}));
    }
    int taken = 0, deleted = 0;
    for (RedisClient& client : clients) {
      taken += RedisClient::text(client.receive()) == "$1";
      deleted += RedisClient::text(client.receive()) == ":1";
    }
    ASSERT_EQ(taken, 1);
    ASSERT_EQ(deleted, 1);
  }
}

TEST_F(Redis, TakesRequestsInPieces) {
  RedisClient client = connect();
  const std::string bytes =
      RedisClient::request({"SET", "a", "x\r\ny"}) + "GET a\r\n" + "\r\n*0\r\n" + "ECHO \"a b\"\n";
  for (const char c : bytes) ASSERT_TRUE(client.send(std::string_view(&c, 1)));
  EXPECT_EQ(RedisClient::text(client.receive()), "+OK");
  EXPECT_EQ(RedisClient::text(client.receive()), "$x\r\ny");
  EXPECT_EQ(RedisClient::text(client.receive()), "$a b");
}

TEST_F(Redis, RefusesWhatIsNoRequest) {
  const std::pair<std::string, std::string> cases[] = {
      {"*1\r\n$1073741824\r\n", "-ERR Protocol error: invalid bulk length"},
      {"*2147483647\r\n", "-ERR Protocol error: invalid multibulk length"},
      {"*1\r\n*1\r\n", "-ERR Protocol error: expected '$', got '*'"},
      {std::string(70'000, 'x'), "-ERR Protocol error: too big inline request"},
      {"GET 'a\r\n", "-ERR Protocol error: unbalanced quotes in request"},
  };
  for (const auto& [bytes, reply] : cases) {
    RedisClient client = connect();
    client.send("PING\r\n" + bytes);
    EXPECT_EQ(RedisClient::text(client.receive()), "+PONG");
    EXPECT_EQ(RedisClient::text(client.receive()), reply);
    EXPECT_TRUE(client.closed());
  }
  // What a browser sends, whatever is in its body.
  RedisClient browser = connect();
  browser.send("POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET a 1\r\n");
  EXPECT_TRUE(browser.closed());
  RedisClient after = connect();
  EXPECT_EQ(after.say({"GET", "a"}), "$-");
}

// Whoever connects can have it write something, but not fill the disk.
TEST_F(Redis, SaysLittleOfManyStrangers) {
  constexpr int kStrangers = 1000;
  for (int i = 0; i < kStrangers; ++i) {
    RedisClient stranger = connect();
    stranger.send("POST / HTTP/1.1\r\n");
    ASSERT_TRUE(stranger.closed());
  }
  const std::string log = gateway_.process().err();
  int said = 0;
  for (std::size_t at = 0; (at = log.find("speaks HTTP", at)) != std::string::npos; ++at) ++said;
  EXPECT_GT(said, 0);
  EXPECT_LT(said, kStrangers / 2);
}

// Nothing more is taken from it, others go on, and when it reads it gets everything.
TEST_F(Redis, LeavesAClientThatDoesNotReadAlone) {
  RedisClient client = connect();
  ASSERT_EQ(client.say({"SET", "a", std::string(900, 'x')}), "+OK");
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += RedisClient::request({"GET", "a"});
  constexpr std::size_t kMost = 8 << 20;
  // In each of another client's turns the gateway could take more.
  constexpr int kTurns = 100;
  RedisClient other = connect();
  std::size_t sent = 0;
  for (int turns = 0; turns < kTurns && sent < kMost;) {
    const std::string_view rest = std::string_view(bytes).substr(sent % bytes.size());
    const ssize_t n = ::send(client.fd(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      sent += static_cast<std::size_t>(n);
      turns = 0;
      continue;
    }
    ASSERT_EQ(errno, EAGAIN);
    ASSERT_EQ(other.say({"GET", "b"}), "$-");
    ++turns;
  }
  EXPECT_LT(sent, kMost);
  const std::size_t requests = sent / RedisClient::request({"GET", "a"}).size();
  for (std::size_t i = 0; i < requests; ++i) {
    ASSERT_EQ(client.receive().text.size(), 900u) << i << " of " << requests;
  }
}

TEST_F(Redis, AnswersWhatWasSentBeforeTheEnd) {
  RedisClient client = connect();
  std::string bytes;
  for (int i = 0; i < 3000; ++i) {
    bytes += RedisClient::request({"SET", "k" + std::to_string(i % 100), "v"});
  }
  ASSERT_TRUE(client.send(bytes));
  shutdown(client.fd(), SHUT_WR);
  for (int i = 0; i < 3000; ++i) ASSERT_EQ(RedisClient::text(client.receive()), "+OK") << i;
  EXPECT_TRUE(client.closed());
}

TEST_F(Redis, HasALimitOnClients) {
  std::vector<RedisClient> clients;
  for (int i = 0; i < 128; ++i) {
    clients.push_back(connect());
    ASSERT_EQ(clients.back().say({"PING"}), "+PONG");
  }
  RedisClient refused = connect();
  EXPECT_EQ(RedisClient::text(refused.receive()), "-ERR max number of clients reached");
  EXPECT_TRUE(refused.closed());
  EXPECT_EQ(clients[0].say({"QUIT"}), "+OK");
  EXPECT_TRUE(clients[0].closed());
  RedisClient next = connect();
  EXPECT_EQ(next.say({"PING"}), "+PONG");
}

TEST_F(Redis, GoesOnWhenTheStoreHasStartedAgain) {
  RedisClient client = connect();
  ASSERT_EQ(client.say({"SET", "a", "1"}), "+OK");
  store_.kill();
  // Nothing hangs, and nothing is said to have happened.
  for (const char* command : {"INCR", "DEL", "GET"}) {
    EXPECT_THAT(client.say({command, "a"}), ::testing::MatchesRegex("-(ERR|UNKNOWN) the .*"));
  }
  EXPECT_EQ(client.say({"PING"}), "+PONG");
  EXPECT_THAT(gateway_.process().err(), HasSubstr("the store is unavailable: "));
  ASSERT_TRUE(store_.start());
  std::string reply;
  for (int tries = 0; tries < 50; ++tries) {
    reply = client.say({"GET", "a"});
    if (reply[0] == '$') break;
  }
  EXPECT_EQ(reply, "$1");
  EXPECT_EQ(client.say({"SET", "a", "2"}), "+OK");
}

TEST_F(Redis, AnswersWhatItHasBegunBeforeItStops) {
  RedisClient client = connect();
  ASSERT_EQ(client.say({"SET", "a", "1"}), "+OK");
  gateway_.stop();
  EXPECT_TRUE(client.closed());
  EXPECT_THAT(gateway_.process().err(), HasSubstr("SIGTERM: stopped"));
  ASSERT_TRUE(gateway_.start());
  RedisClient again = connect();
  EXPECT_EQ(again.say({"GET", "a"}), "$1");
}

TEST_F(Redis, ListensBeyondLoopbackOnlyIfToldTo) {
  const std::vector<std::string> words = {"redis", "--server", store_.unix_uri(), "--listen"};
  for (const char* address :
       {"tcp:0.0.0.0:0", "tcp:[::]:0", "tcp:192.0.2.1:6379", "tls:0.0.0.0:0"}) {
    std::vector<std::string> argv = words;
    argv.emplace_back(address);
    const Finished refused = scalio(scratch_, argv);
    EXPECT_NE(refused.status, 0);
    EXPECT_THAT(refused.err, HasSubstr("no authentication but that of TLS"));
  }
  RedisGateway open(scratch_, store_.unix_uri(), {"--insecure", "--listen", "tcp:0.0.0.0:0"});
  gateway_.stop();
  EXPECT_TRUE(open.start());
}

// --- Redis's own programs, and a library ---

bool there(const std::string& program) {
  return std::system(("command -v " + program + " >/dev/null").c_str()) == 0;
}

// All that waits is slow here, and a SET waits for an SSD.
TEST_F(Redis, TellsWhatTookLong) {
  RedisClient client = connect();
  expect(client, {{{"SLOWLOG", "LEN"}, ":0"},
                  {{"SLOWLOG", "GET"}, "*()"},
                  {{"LATENCY", "LATEST"}, "*()"},
                  {{"CLIENT", "SETNAME", "test"}, "+OK"},
                  {{"SET", "key", std::string(200, 'x')}, "+OK"},
                  {{"SLOWLOG", "LEN"}, ":1"}});
  EXPECT_THAT(client.say({"slowlog", "get"}),
              MatchesRegex(R"(\*\(\*\(:0 :[0-9]{10,} :[0-9]+ \*\(\$SET \$key \$x{128}\.\.\. \(72 )"
                           R"(more bytes\)\) \$/[^ ]+:0 \$test\)\))"));
  EXPECT_THAT(client.say({"LATENCY", "LATEST"}),
              MatchesRegex(R"(\*\(\*\(\$command :[0-9]{10,} :[0-9]+ :[0-9]+\)\))"));
  std::vector<std::string> many = {"MSET"};
  for (int i = 0; i < 20; ++i) many.insert(many.end(), {"m" + std::to_string(i), "1"});
  EXPECT_EQ(client.say(many), "+OK");
  EXPECT_THAT(client.say({"SLOWLOG", "GET", "1"}),
              AllOf(StartsWith("*(*(:1 "), HasSubstr("$1 $... (10 more arguments)) ")));
  for (int i = 0; i < 130; ++i) ASSERT_EQ(client.say({"SET", "key", "1"}), "+OK");
  expect(
      client,
      {{{"SLOWLOG", "LEN"}, ":128"},
       {{"SLOWLOG", "GET", "-2"}, "-ERR count should be greater than or equal to -1"},
       {{"SLOWLOG", "GET", "x"}, "-ERR count should be greater than or equal to -1"},
       {{"SLOWLOG", "GET", "1", "2"}, "-ERR wrong number of arguments for 'slowlog|get' command"},
       {{"LATENCY", "HISTORY", "fork"}, "*()"},
       {{"LATENCY", "RESET"}, "-ERR LATENCY tells of what SLOWLOG has: SLOWLOG RESET forgets it"},
       {{"CONFIG", "GET", "slowlog-*"}, "*($slowlog-log-slower-than $0 $slowlog-max-len $128)"}});
  EXPECT_EQ(client.ask({"SLOWLOG", "GET"}).elements.size(), 10u);
  EXPECT_EQ(client.ask({"SLOWLOG", "GET", "-1"}).elements.size(), 128u);
  EXPECT_EQ(client.ask({"LATENCY", "HISTORY", "command"}).elements.size(), 128u);
  EXPECT_THAT(client.say({"SLOWLOG", "GET", "1"}), StartsWith("*(*(:131 "));
  EXPECT_THAT(client.say({"LATENCY", "GRAPH", "x"}), StartsWith("-ERR unknown subcommand 'GRAPH'"));
  EXPECT_THAT(client.say({"SLOWLOG", "X"}), StartsWith("-ERR unknown subcommand 'X'"));
  expect(client, {{{"SLOWLOG", "RESET"}, "+OK"}, {{"SLOWLOG", "LEN"}, ":0"}});
}

TEST_F(Redis, ServesRedisCli) {
  if (!there("redis-cli")) GTEST_SKIP() << "this machine has no redis-cli (package redis-tools)";
  const auto cli = [&](std::vector<std::string> words) {
    std::vector<std::string> argv = {"redis-cli", "-p", port()};
    argv.insert(argv.end(), words.begin(), words.end());
    return run(argv, scratch_ / "cli").out;
  };
  EXPECT_EQ(cli({"set", "hello", "world"}), "OK\n");
  EXPECT_EQ(cli({"get", "hello"}), "world\n");
  EXPECT_EQ(cli({"-3", "get", "none"}), "\n");
  EXPECT_EQ(cli({"--scan", "--pattern", "h*"}), "hello\n");
  EXPECT_EQ(cli({"incr", "hello"}), "ERR value is not an integer or out of range\n\n");
  std::ofstream(scratch_ / "mass")
      << RedisClient::request({"SET", "a", "1"}) << RedisClient::request({"SET", "b", "2"});
  const std::string piped = "redis-cli -p " + port() + " --pipe <" + (scratch_ / "mass").string();
  EXPECT_THAT(run({"/bin/sh", "-c", piped}, scratch_ / "pipe").out,
              HasSubstr("errors: 0, replies: 2"));
  EXPECT_EQ(cli({"mget", "a", "b"}), "1\n2\n");
}

TEST_F(Redis, ServesRedisBenchmark) {
  if (!there("redis-benchmark")) {
    GTEST_SKIP() << "this machine has no redis-benchmark (package redis-tools)";
  }
  const Finished done = run({"redis-benchmark", "-s", gateway_.path(), "-t",
                             "ping,set,get,incr,mset", "-n", "2000", "-r", "100", "-P", "16", "-q"},
                            scratch_ / "benchmark");
  EXPECT_EQ(done.status, 0) << done.out << done.err;
  for (const char* name : {"PING_MBULK: ", "SET: ", "GET: ", "INCR: ", "MSET (10 keys): "}) {
    EXPECT_THAT(done.out, HasSubstr(name));
  }
  EXPECT_THAT(done.out + done.err, ::testing::Not(HasSubstr("rror")));
}

TEST_F(Redis, ServesHiredis) {
#ifdef SCALIO_HIREDIS_CLIENT
  const Finished done = run({SCALIO_HIREDIS_CLIENT, gateway_.path(), port()}, scratch_ / "hiredis");
  EXPECT_EQ(done.out, "done\n") << done.err;
#else
  GTEST_SKIP() << "it was built where there is no hiredis (package libhiredis-dev)";
#endif
}

constexpr char kPython[] = R"(
import sys
import redis
for protocol in 2, 3:
    db = redis.Redis(unix_socket_path=sys.argv[1]) if protocol == 2 else \
        redis.Redis(port=int(sys.argv[2]), client_name="py")
    assert db.ping()
    assert db.set("py", b"\x00\xff") and db.get("py") == b"\x00\xff"
    assert db.set("py", "x", nx=True) is None
    assert db.delete("py") == 1 and db.get("py") is None
    assert db.incr("n%d" % protocol, 5) == 5
    db.mset({"m1": "1", "m2": "2"})
    assert db.mget("m1", "none", "m2") == [b"1", None, b"2"]
    with db.pipeline(transaction=False) as pipe:
        assert pipe.set("p", "1").incr("p").get("p").execute() == [True, 2, b"2"]
    assert {b"m1", b"m2"} <= set(db.scan_iter(match="m*"))
    assert db.info()["redis_version"] == "7.0.0"
    assert db.ttl("m1") == -1 and db.type("m1") == b"string"
    me = db.client_info()
    assert me["sub"] == 0 and me["multi"] == -1 and me["addr"].rsplit(":", 1)[1].isdigit(), me
    assert me["id"] in [int(one["id"]) for one in db.client_list()]
    assert db.config_get("databases") == {"databases": "1"}
    assert db.set("e", "1", ex=1000) and 0 < db.ttl("e") <= 1000
    assert db.persist("e") and db.ttl("e") == -1 and db.expire("e", -1) and db.get("e") is None
    try:
        db.execute_command("NOPE")
    except redis.ResponseError as error:
        continue
    raise AssertionError("no error")
print("done")
)";

TEST_F(Redis, ServesRedisForPython) {
  if (std::system("/usr/bin/python3 -c 'import redis' 2>/dev/null") != 0) {
    GTEST_SKIP() << "this machine has no redis for Python (package python3-redis)";
  }
  const Finished done =
      run({"/usr/bin/python3", "-c", kPython, gateway_.path(), port()}, scratch_ / "python");
  EXPECT_EQ(done.out, "done\n") << done.err;
}

// Values that the gateway takes from others, and cannot take itself.
class RedisLarge : public Redis {
 protected:
  RedisLarge()
      : Redis({.ssd_size = "96M", .format = {"--inline-limit", "960", "--values", "64M"}}) {}

  // What the gateway has had of the memory at most, in MiB.
  std::uint64_t most_memory() {
    std::ifstream status("/proc/" + std::to_string(gateway_.process().pid()) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmHWM:")) return std::strtoull(line.c_str() + 6, nullptr, 10) >> 10;
    }
    return 0;
  }
};

TEST_F(RedisLarge, EndAsOthersDo) {
  RedisClient client = connect();
  const std::string value(100'000, 'v');
  EXPECT_EQ(client.say({"SET", "large", value, "EX", "1000"}), "+OK");
  expect_left(client, "large", 1000);
  EXPECT_EQ(client.say({"EXPIRE", "large", "2000", "GT"}), ":1");
  expect_left(client, "large", 2000);
  EXPECT_EQ(client.say({"SETRANGE", "large", "0", "w"}), ":100000");
  expect_left(client, "large", 2000);
  EXPECT_EQ(client.say({"GETEX", "large", "PERSIST"}), "$w" + value.substr(1));
  EXPECT_EQ(client.say({"TTL", "large"}), ":-1");
  EXPECT_EQ(client.say({"PEXPIRE", "large", "-1"}), ":1");
  EXPECT_EQ(client.say({"GET", "large"}), "$-");
  EXPECT_EQ(client.say({"APPEND", "large", "new"}), ":3");
}

TEST_F(RedisLarge, AreAppendedTo) {
  RedisClient client = connect();
  const std::string text(600, 't');
  EXPECT_EQ(client.say({"SET", "log", text, "EX", "1000"}), "+OK");
  EXPECT_EQ(client.say({"APPEND", "log", text}), ":1200") << "which makes it one";
  EXPECT_EQ(client.say({"APPEND", "log", "end"}), ":1203");
  EXPECT_EQ(client.say({"GET", "log"}), "$" + text + text + "end");
  expect_left(client, "log", 1000);
  EXPECT_EQ(client.say({"APPEND", "new", std::string(100'000, 'n')}), ":100000");
  EXPECT_EQ(client.say({"STRLEN", "new"}), ":100000");
  EXPECT_EQ(client.say({"INCR", "new"}), kNoInteger);
  EXPECT_EQ(client.say({"DECRBY", "log", "5"}), kNoInteger);

  // Of several at one time none is lost.
  constexpr int kClients = 4, kEach = 20;
  std::vector<RedisClient> clients;
  for (int i = 0; i < kClients; ++i) clients.push_back(connect());
  for (int n = 0; n < kEach; ++n) {
    for (RedisClient& one : clients) one.send(RedisClient::request({"APPEND", "new", "12345"}));
  }
  std::set<std::string> sizes;
  for (int n = 0; n < kEach; ++n) {
    for (RedisClient& one : clients) sizes.insert(RedisClient::text(one.receive()));
  }
  EXPECT_EQ(sizes.size(), std::size_t{kClients} * kEach);
  EXPECT_TRUE(sizes.contains(":100400"));
}

// With its end such a record is over the inline limit.
TEST_F(RedisLarge, AreMadeOfSmallOnesThatGetAnEnd) {
  RedisClient client = connect();
  for (const std::size_t size : {949, 956}) {
    const std::string value(size, 'v');
    EXPECT_EQ(client.say({"SET", "near", value}), "+OK");
    EXPECT_EQ(client.say({"EXPIRE", "near", "1000"}), ":1");
    expect_left(client, "near", 1000);
    EXPECT_EQ(client.say({"GET", "near"}), "$" + value);
    EXPECT_EQ(client.say({"PERSIST", "near"}), ":1");
    EXPECT_EQ(client.say({"SET", "near", value}), "+OK");
    EXPECT_EQ(client.say({"GETEX", "near", "EX", "2000"}), "$" + value);
    expect_left(client, "near", 2000);
    EXPECT_EQ(client.say({"SET", "near", value}), "+OK");
    EXPECT_EQ(client.say({"PEXPIREAT", "near", "4102444800000", "NX"}), ":1");
    EXPECT_EQ(client.say({"EXPIRETIME", "near"}), ":4102444800");
    EXPECT_EQ(client.say({"GET", "near"}), "$" + value);
    EXPECT_EQ(client.say({"SET", "near", value}), "+OK");
    EXPECT_EQ(client.say({"EXPIRE", "near", "-1"}), ":1");
    EXPECT_EQ(client.say({"GET", "near"}), "$-");
  }
}

TEST_F(RedisLarge, HaveABoundInMemoryHoweverManyAreAskedFor) {
  auto store = Client::connect(store_.unix_uri());
  ASSERT_TRUE(store.ok()) << store.status().to_string();
  const std::string value(3'500'000, 'v');
  ASSERT_TRUE((*store)->run((*store)->put("large", value)).ok());
  ASSERT_TRUE((*store)->run((*store)->put("small", "s")).ok());
  constexpr int kEach = 75;  // of two clients, together 525 MB
  std::string requests;
  for (int i = 0; i < kEach; ++i) {
    requests += RedisClient::request({"GET", "large"});
    requests += RedisClient::request({"GET", "small"});
  }
  RedisClient first = connect(), second = connect();
  ASSERT_TRUE(first.send(requests) && second.send(requests));
  for (int i = 0; i < kEach; ++i) {
    for (RedisClient* client : {&first, &second}) {
      ASSERT_TRUE(RedisClient::text(client->receive()) == "$" + value) << i;
      ASSERT_EQ(RedisClient::text(client->receive()), "$s");
    }
  }
  EXPECT_EQ(first.say({"STRLEN", "large"}), ":3500000");
  EXPECT_EQ(first.say({"EXISTS", "large", "none"}), ":1");
  EXPECT_EQ(first.say({"GETRANGE", "large", "0", "3"}), "$vvvv");
  EXPECT_EQ(first.say({"MGET", "small", "large"}), "*($s $" + value + ")");
  EXPECT_EQ(first.say({"DEL", "large"}), ":1");
  if (!kSanitized) {
    EXPECT_LT(most_memory(), 400u);
  }
}

// Who asks for more than there is room for, and reads nothing, has not all of it.
TEST_F(RedisLarge, LeaveRoomForOthers) {
  auto store = Client::connect(store_.unix_uri());
  ASSERT_TRUE(store.ok()) << store.status().to_string();
  ASSERT_TRUE((*store)->run((*store)->put("large", std::string(3'500'000, 'v'))).ok());
  constexpr int kEach = 75;  // 262 MB
  RedisClient greedy = connect(), other = connect();
  for (int i = 0; i < kEach; ++i) ASSERT_TRUE(greedy.send(RedisClient::request({"GET", "large"})));
  // Meanwhile it could have read them all.
  for (int i = 0; i < kEach; ++i) {
    ASSERT_EQ(other.say({"GETRANGE", "large", "0", "3"}), "$vvvv") << i;
  }
}

// Its room is none, whatever others have.
TEST_F(RedisLarge, AnEmptyValueIsReadWhereHalfOfTheRoomIsTaken) {
  auto store = Client::connect(store_.unix_uri());
  ASSERT_TRUE(store.ok()) << store.status().to_string();
  ASSERT_TRUE((*store)->run((*store)->put("large", std::string(3'500'000, 'v'))).ok());
  RedisClient other = connect();
  ASSERT_EQ(other.say({"SET", "empty", ""}), "+OK");
  // Behind the first 256 keys, which are read together: 31.5 MB are there by then.
  std::vector<std::string> words(1 + 256 + 1, "absent");
  words[0] = "MGET";
  std::fill_n(words.begin() + 1, 9, "large");
  words.back() = "empty";
  std::vector<RedisClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(connect());
    ASSERT_TRUE(clients.back().send(RedisClient::request(words)));
    pollfd readable{clients.back().fd(), POLLIN, 0};
    ASSERT_EQ(poll(&readable, 1, 60'000), 1);
    char first = 0;
    ASSERT_EQ(recv(clients.back().fd(), &first, 1, MSG_PEEK), 1) << std::strerror(errno);
    EXPECT_EQ(first, '*') << i;
  }
}

// Takes a reply of `size` bytes off the socket; false: it was an error, or none.
bool take_bytes(const RedisClient& client, std::size_t size) {
  constexpr int kBoundMs = 60'000;
  std::vector<char> bytes(1 << 20);
  std::size_t taken = 0;
  while (taken < size) {
    pollfd readable{client.fd(), POLLIN, 0};
    if (poll(&readable, 1, kBoundMs) <= 0) return false;
    const ssize_t n = recv(client.fd(), bytes.data(), bytes.size(), 0);
    if (n <= 0 || (taken == 0 && bytes[0] == '-')) return false;
    taken += static_cast<std::size_t>(n);
  }
  return true;
}

// Each reply is within its limit, and of each value little enough to be read at once.
TEST_F(RedisLarge, RepliesThatNobodyReadsHaveABoundInMemory) {
  RedisClient other = connect();
  const std::string value(60'000, 'v');
  ASSERT_EQ(other.say({"SET", "b", value}), "+OK");
  constexpr std::size_t kKeys = 555, kClients = 24;  // together 800 MB
  const std::size_t size = std::string("*555\r\n").size() +
                           kKeys * (std::string("$60000\r\n\r\n").size() + value.size());
  std::vector<std::string> words(kKeys + 1, "b");
  words[0] = "MGET";
  std::vector<RedisClient> clients;
  for (std::size_t i = 0; i < kClients; ++i) {
    clients.push_back(connect());
    ASSERT_TRUE(clients.back().send(RedisClient::request(words)));
  }
  // In these the gateway could read them all. Who has nothing gets a small one meanwhile.
  for (int i = 0; i < 300; ++i) ASSERT_EQ(other.say({"GETRANGE", "b", "0", "3"}), "$vvvv") << i;
  std::atomic<int> whole = 0;
  std::vector<std::thread> readers;
  for (const RedisClient& client : clients) {
    readers.emplace_back([&] { whole += take_bytes(client, size) ? 1 : 0; });
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_GT(whole, 0);
  if (!kSanitized) {
    EXPECT_LT(most_memory(), 400u);
  }
}

// What a client has begun does not go on when it has gone.
TEST_F(Redis, WhatNobodyWaitsForIsNotRead) {
  RedisClient other = connect();
  ASSERT_EQ(other.say({"SET", "b", "s"}), "+OK");
  constexpr std::size_t kKeys = 60'000, kClients = 32;
  std::vector<std::string> words(kKeys + 1, "b");
  words[0] = "MGET";
  const std::string request = RedisClient::request(words);
  const auto figure = [&](const std::string& section, const std::string& name) {
    const std::string info = other.say({"INFO", section});
    const std::size_t at = info.find(name);
    EXPECT_NE(at, std::string::npos) << info;
    return at == std::string::npos ? 0 : std::strtoull(&info[at + name.size()], nullptr, 10);
  };
  // Within a minute.
  const auto comes = [](const auto& what) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!what() && std::chrono::steady_clock::now() < end) {
    }
    return what();
  };
  const std::uint64_t before = figure("stats", "scalio_gets:");
  {
    std::vector<RedisClient> clients;
    for (std::size_t i = 0; i < kClients; ++i) {
      clients.push_back(connect());
      ASSERT_TRUE(clients.back().send(request));
    }
    ASSERT_TRUE(comes([&] { return figure("stats", "scalio_gets:") != before; }));
  }
  ASSERT_TRUE(comes([&] { return figure("clients", "connected_clients:") == 1; }));
  EXPECT_LT(figure("stats", "scalio_gets:") - before, kClients * kKeys);
}

}  // namespace
}  // namespace scalio::testing
