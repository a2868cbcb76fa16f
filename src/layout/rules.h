// The rules of the protocol (docs/protocol.md), by name, where code keeps them: `if
// (kept(Rule::kill)) ...`.
//
// In the product every rule is kept, and the compiler drops the question. Only the test program
// that is built with SCALIO_LEAVE_OUT_RULES can leave one out, to show that the simulator notices.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

namespace scalio {

enum class Rule : std::uint8_t {
  none,
  locked,               // rule 1: LOCKED is stored before the kill
  kill,                 // rule 1: read slots of the key are killed
  kill_before_publish,  // rule 1: before DIRTY, not after
  second_read,          // rule 2: the write-slot words are read again after the CAS
  victim_lost,          // rule 2: a slot that is given back is free: its victim does not come back
  position,             // rule 4: checksums of slots cover where the slot is
  generation,           // rule 6: and which filling of the slot it is
  slot_checksum,        // rule 4: slots are readable only with their checksum
  late_body,            // rule 4: so are those whose body is read by a READ of its own
  merge_before_free,    // rule 7: the bucket is written before the slot is clean
  dirty_if_changed,     // rule 7: a value that changed during its merge stays DIRTY
  log_before_reply,     // rule 1: the log is durable before the write is published
  epoch,                // rule 9: a client notices that the server was restarted
  session,              // rule 8: a write that is sent again is done once
  all_in_flight,        // rule 8: a session knows all writes in flight, however many
  bucket_images,        // recovery: buckets are logged before they are overwritten
  repair_kill,     // rule 11: read slots are killed before a damaged write-slot word is put right
  own_body,        // rule 11: of the region the server takes only what it has stored there
  log_space,       // recovery: a write is admitted when the log has room before its tail
  identity,        // rule 12: never written is not absent
  newest_record,   // recovery: of two records of a key, the newer one counts
  log_mac,         // recovery: of the log only what has the right MAC counts
  same_shard,      // rule 9: who connects again goes on with the same shard, and no other answers
  blocks_first,    // rule 13: a scan reads the blocks before the buckets
  reach_later,     // rule 13: a home's reach by reads that begin after the home's
  clean_too,       // rule 13: a scan takes what is in CLEAN write slots, too
  home_again,      // rule 13: a home with a reach is read again after that
  move_counted,    // rule 13: a move is counted before the first write of a bucket
  counts_again,    // rule 13: the counts of moves are read again after the buckets
  scan_end,        // rule 13: each stretch ends with an operation on the region
  room_first,      // rule 14: a write is logged only if it will find room in the buckets
  moves_flushed,   // rule 15: a segment is used again when what was moved out of it is flushed
  move_is_newer,   // rule 15: a value that was moved wins against the same version
  places_known,    // rule 15: each place that was given to a value is looked at
  filling_known,   // rule 15: that a segment is filled anew is known after a restart
  update_alone,    // rule 16: a write that looks at what the key has does so alone
  overtaken_anew,  // rule 16: a large value that a newer write has overtaken is written anew
  ask_for_time,    // rule 17: within its error of a record's end a client asks the server
  read_after_end,  // rule 17: what was read before its end had passed is read again
  ended_is_none,   // rule 17: a write that looks at what the key has takes what has ended for none
  time_mark,  // rule 17: no time is told beyond what is durable, and a restart goes on from that
  publish_before_time,  // rule 17: nor beyond the end of what a write under way was made from
};

constexpr std::array<std::pair<Rule, std::string_view>, 42> kRules{{
    {Rule::locked, "locked"},
    {Rule::kill, "kill"},
    {Rule::kill_before_publish, "kill-before-publish"},
    {Rule::second_read, "second-read"},
    {Rule::victim_lost, "victim-lost"},
    {Rule::position, "position"},
    {Rule::generation, "generation"},
    {Rule::slot_checksum, "slot-checksum"},
    {Rule::late_body, "late-body"},
    {Rule::merge_before_free, "merge-before-free"},
    {Rule::dirty_if_changed, "dirty-if-changed"},
    {Rule::log_before_reply, "log-before-reply"},
    {Rule::epoch, "epoch"},
    {Rule::session, "session"},
    {Rule::all_in_flight, "all-in-flight"},
    {Rule::bucket_images, "bucket-images"},
    {Rule::repair_kill, "repair-kill"},
    {Rule::own_body, "own-body"},
    {Rule::log_space, "log-space"},
    {Rule::identity, "identity"},
    {Rule::newest_record, "newest-record"},
    {Rule::log_mac, "log-mac"},
    {Rule::same_shard, "same-shard"},
    {Rule::blocks_first, "blocks-first"},
    {Rule::reach_later, "reach-later"},
    {Rule::clean_too, "clean-too"},
    {Rule::home_again, "home-again"},
    {Rule::move_counted, "move-counted"},
    {Rule::counts_again, "counts-again"},
    {Rule::scan_end, "scan-end"},
    {Rule::room_first, "room-first"},
    {Rule::moves_flushed, "moves-flushed"},
    {Rule::move_is_newer, "move-is-newer"},
    {Rule::places_known, "places-known"},
    {Rule::filling_known, "filling-known"},
    {Rule::update_alone, "update-alone"},
    {Rule::overtaken_anew, "overtaken-anew"},
    {Rule::ask_for_time, "ask-for-time"},
    {Rule::read_after_end, "read-after-end"},
    {Rule::ended_is_none, "ended-is-none"},
    {Rule::time_mark, "time-mark"},
    {Rule::publish_before_time, "publish-before-time"},
}};

#ifdef SCALIO_LEAVE_OUT_RULES
inline Rule left_out = Rule::none;
inline bool kept(Rule rule) { return rule != left_out; }
#else
constexpr bool kept(Rule) { return true; }
#endif

}  // namespace scalio
