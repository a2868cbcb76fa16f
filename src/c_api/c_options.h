// scalio_options: what a client is connected with.
#pragma once

#include <scalio/scalio.h>
#include <scalio/shared_client.h>

struct scalio_options {
  scalio::SharedClientOptions value;
};
