// The superblock: what an SSD of a store is (docs/formats.md, "Superblock"). Two copies: at the
// start and in the last kSuperblockSize bytes of the device. Written once, by format.
#pragma once

#include <scalio/status.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "layout/geometry.h"

namespace scalio::layout {

constexpr std::uint32_t kSuperblockSize = 4096;
constexpr std::uint32_t kFormatVersion = 2;

// Encodes the SSD of this slice, whichever of its slices it is, into kSuperblockSize bytes.
void encode_superblock(ByteSpan out, const SsdGeometry& geometry);

// Failures: invalid (no superblock of Scalio; another format version, which is named whether or not
// the checksum matches), corrupt (checksum, contradicting fields, or a truncated device).
// `device_size` is that of the device it was read from. The geometry is that of the first slice.
Result<SsdGeometry> decode_superblock(ByteView in, std::uint64_t device_size);

std::string to_string(const Uuid& uuid);
// What to_string() has written, and nothing else.
std::optional<Uuid> parse_uuid(std::string_view text);

}  // namespace scalio::layout
