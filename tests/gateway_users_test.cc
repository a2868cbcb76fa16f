// Users of the gateway for clients of Redis: who may connect to it, and do what; and whom it is to
// its store.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/redis_client.h"

namespace scalio::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kWrongPassword[] = "-WRONGPASS invalid username-password pair or user is disabled.";

std::string no_permission(const std::string& user, const std::string& command) {
  return "-NOPERM User " + user + " has no permissions to run the '" + command + "' command";
}

class GatewayUsersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    add("reader", {"--right", "read"});
    add("writer", {"--right", "read", "--right", "write"});
    add("shop", {"--right", "read", "--right", "write", "--prefix", "shop:", "--prefix", "cart:"});
    add("keeper", {"--right", "read", "--right", "admin"});
    ASSERT_TRUE(store_.start());
    ASSERT_TRUE(gateway_.start());
  }
  static std::string secret(const std::string& user) { return "the secret of " + user; }
  std::string secret_file(const std::string& user) {
    std::string path = (scratch_ / (user + ".secret")).string();
    std::ofstream(path) << secret(user) << '\n';
    chmod(path.c_str(), 0600);
    return path;
  }
  void add(const std::string& user, const std::vector<std::string>& rest) {
    std::vector<std::string> args = {"user", "add",           users_,
                                     user,   "--secret-file", secret_file(user)};
    args.insert(args.end(), rest.begin(), rest.end());
    const Finished added = scalio(scratch_, args);
    ASSERT_EQ(added.status, 0) << added.err;
  }
  RedisClient connect() const { return RedisClient(gateway_.path()); }
  RedisClient connect_as(const std::string& user) const {
    RedisClient client = connect();
    EXPECT_EQ(client.say({"AUTH", user, secret(user)}), "+OK");
    return client;
  }

  Scratch scratch_{"gateway_users"};
  const std::string users_ = (scratch_ / "users.toml").string();
  Store store_{scratch_, {.ssds = 1}};
  RedisGateway gateway_{scratch_, store_.unix_uri(), {"--users", users_, "--slow", "0"}};
};

TEST_F(GatewayUsersTest, AStrangerMayDoNothing) {
  RedisClient stranger = connect();
  const RespReply commands = connect_as("reader").ask({"COMMAND"});
  ASSERT_GT(commands.elements.size(), 40U);
  for (const RespReply& command : commands.elements) {
    const std::string name = command.elements[0].text;
    if (name == "auth" || name == "hello" || name == "quit" || name == "reset") continue;
    const int arity = std::stoi(command.elements[1].text);
    std::vector<std::string> words(static_cast<std::size_t>(std::abs(arity)), "a");
    words[0] = name;
    EXPECT_EQ(stranger.say(words), "-NOAUTH Authentication required.") << name;
  }
  EXPECT_THAT(stranger.say({"HELLO", "3"}), StartsWith("-NOAUTH"));
  EXPECT_THAT(stranger.say({"HELLO", "3", "SETNAME", "me"}), StartsWith("-NOAUTH"));
  for (const std::vector<std::string>& wrong :
       {std::vector<std::string>{"AUTH", "writer", secret("reader")},
        {"AUTH", "nobody", secret("reader")},
        {"AUTH", "no name", ""},
        {"AUTH", secret("reader")},  // nobody is 'default'
        {"HELLO", "3", "AUTH", "writer", "wrong"}}) {
    RedisClient guesser = connect();
    EXPECT_EQ(guesser.say(wrong), kWrongPassword) << wrong[1];
    EXPECT_EQ(guesser.say({"GET", "a"}), "-NOAUTH Authentication required.");
  }
}

TEST_F(GatewayUsersTest, AStrangerHasSmallRequests) {
  for (const char* large : {"*11\r\n", "*2\r\n$4\r\nAUTH\r\n$16385\r\n"}) {
    RedisClient stranger = connect();
    stranger.send(large);
    EXPECT_THAT(RedisClient::text(stranger.receive()), StartsWith("-ERR Protocol error")) << large;
    EXPECT_TRUE(stranger.closed());
  }
  // What follows in the same packet is the user's.
  RedisClient client = connect();
  const std::string large(20'000, 'x');
  client.send(RedisClient::request({"AUTH", "writer", secret("writer")}) +
              RedisClient::request({"ECHO", large}));
  EXPECT_EQ(RedisClient::text(client.receive()), "+OK");
  EXPECT_EQ(RedisClient::text(client.receive()), "$" + large);
}

TEST_F(GatewayUsersTest, AStrangerIsNotKept) {
  RedisClient reader = connect_as("reader"), stranger = connect(), again = connect_as("reader");
  EXPECT_EQ(again.say({"RESET"}), "+RESET");
  EXPECT_TRUE(stranger.closed());
  EXPECT_TRUE(again.closed());
  EXPECT_EQ(reader.say({"PING"}), "+PONG");
  EXPECT_THAT(gateway_.process().err(), HasSubstr("no AUTH that was right in 5 s: closed"));
}

TEST_F(GatewayUsersTest, WhoSaysTheSecretHasTheRightsOfTheUser) {
  RedisClient client = connect();
  // What follows in the same packet is the user's already.
  client.send(RedisClient::request({"AUTH", "writer", secret("writer")}) +
              RedisClient::request({"SET", "a", "1"}) + RedisClient::request({"GET", "a"}));
  for (const char* expected : {"+OK", "+OK", "$1"}) {
    EXPECT_EQ(RedisClient::text(client.receive()), expected);
  }
  EXPECT_THAT(client.say({"CLIENT", "INFO"}), HasSubstr(" user=writer "));
  // A wrong secret takes nothing away; another right one does.
  EXPECT_EQ(client.say({"AUTH", "reader", "wrong"}), kWrongPassword);
  EXPECT_EQ(client.say({"SET", "a", "2"}), "+OK");
  EXPECT_THAT(client.say({"HELLO", "3", "AUTH", "reader", secret("reader")}), StartsWith("%"));
  EXPECT_EQ(client.say({"SET", "a", "3"}), no_permission("reader", "set"));
  EXPECT_EQ(client.say({"GET", "a"}), "$2");
  EXPECT_EQ(client.say({"RESET"}), "+RESET");
  EXPECT_EQ(client.say({"GET", "a"}), "-NOAUTH Authentication required.");
}

// What COMMAND says of the commands that have a flag.
std::vector<RespReply> commands_with(RedisClient& client, std::string_view flag) {
  std::vector<RespReply> all = client.ask({"COMMAND"}).elements;
  std::erase_if(all, [&](const RespReply& command) {
    return !std::ranges::any_of(command.elements[2].elements,
                                [&](const RespReply& its) { return its.text == flag; });
  });
  return all;
}

TEST_F(GatewayUsersTest, AReaderMayCallNothingThatWrites) {
  RedisClient reader = connect_as("reader");
  const std::vector<RespReply> writes = commands_with(reader, "write");
  for (const RespReply& command : writes) {
    const std::string name = command.elements[0].text;
    std::vector<std::string> words(
        static_cast<std::size_t>(std::abs(std::stoi(command.elements[1].text))), "1");
    words[0] = name;
    EXPECT_EQ(reader.say(words), no_permission("reader", name));
  }
  EXPECT_GT(writes.size(), 10U);
  EXPECT_EQ(reader.say({"DBSIZE"}), ":0");
}

TEST_F(GatewayUsersTest, AUserIsKeptToItsPrefixes) {
  constexpr char kOther[] = "-NOPERM No permissions to access a key";
  RedisClient shop = connect_as("shop"), writer = connect_as("writer");
  EXPECT_EQ(writer.say({"MSET", "other", "1", "sho", "1", "shop", "1"}), "+OK");
  EXPECT_EQ(shop.say({"MSET", "shop:1", "a", "cart:1", "b"}), "+OK");
  EXPECT_EQ(shop.say({"MGET", "shop:1", "cart:1"}), "*($a $b)");
  // All commands that have keys, with one of others: as the first, and as the last.
  int tried = 0;
  for (const RespReply& command : shop.ask({"COMMAND"}).elements) {
    const auto number = [&](std::size_t i) { return std::stoi(command.elements[i].text); };
    const std::string name = command.elements[0].text;
    std::vector<std::string> words(static_cast<std::size_t>(std::abs(number(1))), "1");
    words[0] = name;
    if (number(3) == 0) continue;
    ++tried;
    for (const char* key : {"other", "sho", "shop", "SHOP:1", ""}) {
      words[1] = key;
      EXPECT_EQ(shop.say(words), kOther) << name << ' ' << key;
    }
    if (number(4) >= 0) continue;  // has one key only
    words[1] = "shop:1";
    for (int i = 0; i < number(5) * 2; ++i) words.emplace_back("other");
    EXPECT_EQ(shop.say(words), kOther) << name;
  }
  EXPECT_GT(tried, 20);
  EXPECT_EQ(writer.say({"MGET", "other", "sho", "shop", "shop:1"}), "*($1 $1 $1 $a)");
  // What looks at all keys, or administers.
  for (const std::vector<std::string>& words : {std::vector<std::string>{"scan", "0"},
                                                {"keys", "*"},
                                                {"randomkey"},
                                                {"dbsize"},
                                                {"slowlog", "get"},
                                                {"latency", "latest"},
                                                {"config", "get", "*"}}) {
    EXPECT_EQ(shop.say(words), no_permission("shop", words[0]));
  }
  EXPECT_THAT(scalio(scratch_, {"user", "list", users_}).out,
              HasSubstr("shop read write prefix=shop: prefix=cart:\n"));
}

// What administers tells what others have asked for, and forgets it.
TEST_F(GatewayUsersTest, OnlyWhoAdministersMayCallWhatDoes) {
  RedisClient keeper = connect_as("keeper"), reader = connect_as("reader"),
              writer = connect_as("writer");
  EXPECT_EQ(writer.say({"SET", "a", "1"}), "+OK");
  const std::vector<RespReply> administer = commands_with(reader, "admin");
  for (const RespReply& command : administer) {
    const std::string name = command.elements[0].text;
    for (RedisClient* client : {&reader, &writer}) {
      const std::string user = client == &reader ? "reader" : "writer";
      EXPECT_EQ(client->say({name, "get"}), no_permission(user, name));
      EXPECT_EQ(client->say({name, "reset"}), no_permission(user, name));
    }
    EXPECT_THAT(keeper.say({name, "no such"}), Not(StartsWith("-NOPERM"))) << name;
  }
  EXPECT_EQ(administer.size(), 3U) << "SLOWLOG, LATENCY, CONFIG";
  EXPECT_THAT(keeper.say({"CONFIG", "GET", "maxclients"}), HasSubstr("maxclients"));
  EXPECT_THAT(keeper.say({"SLOWLOG", "GET"}), HasSubstr("SET"));
  EXPECT_EQ(keeper.say({"SLOWLOG", "RESET"}), "+OK");
  // It is no right to write.
  EXPECT_EQ(keeper.say({"SET", "a", "2"}), no_permission("keeper", "set"));
  EXPECT_EQ(keeper.say({"GET", "a"}), "$1");
}

TEST_F(GatewayUsersTest, SecretsAreInNoListAndNoLog) {
  RedisClient writer = connect_as("writer"), keeper = connect_as("keeper");
  EXPECT_EQ(writer.say({"AUTH", "reader", "a wrong secret"}), kWrongPassword);
  writer.say({"SET", "a", "1"});
  const std::string slow = keeper.say({"SLOWLOG", "GET", "-1"});
  EXPECT_THAT(slow, HasSubstr("auth"));
  EXPECT_THAT(slow, Not(HasSubstr("secret")));
  EXPECT_THAT(writer.say({"CLIENT", "LIST"}), Not(HasSubstr("secret")));
  gateway_.stop();
  EXPECT_THAT(gateway_.process().out() + gateway_.process().err(), Not(HasSubstr("secret of")));
}

TEST_F(GatewayUsersTest, UsersAreTakenOnAgainBySighup) {
  RedisClient writer = connect_as("writer");
  ASSERT_EQ(scalio(scratch_, {"user", "remove", users_, "writer"}).status, 0);
  ASSERT_EQ(kill(gateway_.process().pid(), SIGHUP), 0);
  while (gateway_.process().running() &&
         gateway_.process().err().find("3 users") == std::string::npos) {
    std::this_thread::yield();
  }
  EXPECT_EQ(writer.say({"SET", "a", "1"}), "+OK") << "who is connected stays so";
  // Not even with a secret that was right before.
  EXPECT_EQ(connect().say({"AUTH", "writer", secret("writer")}), kWrongPassword);
  EXPECT_EQ(connect().say({"AUTH", "reader", secret("reader")}), "+OK");
}

TEST_F(GatewayUsersTest, SecretsDoNotCrossANetworkInClear) {
  const Finished refused = scalio(scratch_, {"redis", "--server", store_.unix_uri(), "--users",
                                             users_, "--listen", "tcp:0.0.0.0:0"});
  EXPECT_NE(refused.status, 0);
  EXPECT_THAT(refused.err, HasSubstr("--insecure"));
}

// To its store the gateway is one user, with this one's rights.
TEST_F(GatewayUsersTest, TheGatewayLogsInAtItsStore) {
  const Scratch scratch("gateway_users_store");
  add("filler", {"--right", "read+fill"});
  Store store(scratch, {.ssds = 1, .serve = {"--users", users_, "--nvmf", "127.0.0.1:0"}});
  ASSERT_TRUE(store.start());
  const auto as = [&](const std::string& user) {
    return std::vector<std::string>{"--user", user, "--secret-file", secret_file(user)};
  };
  for (const std::string& user : {std::string("filler"), std::string("writer")}) {
    RedisGateway gateway(scratch, store.tcp_uri(), as(user));
    ASSERT_TRUE(gateway.start());
    RedisClient client(gateway.path());
    const std::string set = client.say({"SET", "a", "1"});
    if (user == "writer") {
      EXPECT_EQ(set, "+OK");
    } else {
      EXPECT_THAT(set, HasSubstr("user filler may not write"));
      EXPECT_THAT(gateway.process().err(),
                  HasSubstr("the store refuses the gateway: user filler may not write"));
    }
    EXPECT_EQ(client.say({"GET", "a"}), user == "writer" ? "$1" : "$-");
    gateway.stop();
  }
  const Finished refused =
      scalio(scratch, {"redis", "--server", store.tcp_uri(), "--listen", "tcp:127.0.0.1:0"});
  EXPECT_EQ(refused.status, 3) << "as of any other client";
  EXPECT_THAT(refused.err, HasSubstr("this server has users"));
}

}  // namespace
}  // namespace scalio::testing
