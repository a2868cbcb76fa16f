// A connection in words, as CLIENT LIST has it.
#pragma once

#include <string>

#include "redis/gateway_state.h"

namespace scalio::redis {

// The version of Redis whose answers the gateway gives.
inline constexpr std::string_view kRedisVersion = "7.0.0";

// One line, without its end.
std::string session_line(const RedisSession& session, Nanos now);

}  // namespace scalio::redis
