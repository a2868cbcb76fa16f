#include "nvmf/host/host_identity.h"

#include <gtest/gtest.h>

#include "nvmf/wire/fields.h"

namespace scalio::nvmf {
namespace {

TEST(HostIdentityTest, ThisMachineHasOneWithoutBeingAsked) {
  const HostIdentity a = default_identity();
  EXPECT_TRUE(check_nqn(a.nqn).ok()) << a.nqn;
  const HostIdentity b = default_identity();
  EXPECT_EQ(a.nqn, b.nqn);
  EXPECT_EQ(a.id, b.id);
}

TEST(HostIdentityTest, AnNqnDecidesTheIdentifier) {
  const HostIdentity a = identity_for("nqn.2024-01.io.scalio:a");
  EXPECT_EQ(a.nqn, "nqn.2024-01.io.scalio:a");
  EXPECT_EQ(a.id, identity_for("nqn.2024-01.io.scalio:a").id);
  EXPECT_NE(a.id, identity_for("nqn.2024-01.io.scalio:b").id);
}

}  // namespace
}  // namespace scalio::nvmf
