#include "redis/gateway_state.h"

#include "redis/command_call.h"

namespace scalio::redis {

GatewayState::GatewayState(Client& store, EventLoop& its_loop, GatewayLimits its_limits)
    : client(store),
      loop(its_loop),
      limits(its_limits),
      started(its_loop.now()),
      turns(its_loop),
      slow(its_limits.slow) {}

GatewayState::~GatewayState() = default;

}  // namespace scalio::redis
