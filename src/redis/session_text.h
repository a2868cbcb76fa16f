// A connection in words, as CLIENT LIST has it.
#pragma once

#include <string>

#include "redis/gateway_state.h"

namespace scalio::redis {

// The version of Redis whose answers the gateway gives.
inline constexpr std::string_view kRedisVersion = "7.0.0";

// Where its client is, in Redis's words: HOST:PORT, or at a Unix socket PATH:0.
std::string client_address(const RedisSession& session);

// One line, without its end. It has Redis's fields: what there is nothing of here, is 0.
std::string session_line(const RedisSession& session, Nanos now);

}  // namespace scalio::redis
