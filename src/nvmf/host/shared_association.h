// SharedAssociation: one association with a subsystem, for all of its namespaces that are in use.
//
// Its I/O queue is dealt out: the commands of one namespace, also those that nobody waits for any
// more, hold no more than its share of the queue. So an SSD that stops answers only for itself. The
// price is that a namespace cannot use what others leave.
//
// A lost association is made again in the background for as long as it has users: soon at first,
// with growing pauses. Then each namespace is identified again before anything is sent to it; the
// same when the controller tells of a change of namespaces.
#pragma once

#include <scalio/status.h>
#include <scalio/task.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "nvmf/host/association.h"
#include "nvmf/host/initiator_options.h"
#include "nvmf/host/pause.h"
#include "nvmf/host/queue.h"
#include "nvmf/wire/identify.h"
#include "task/event_loop.h"

namespace scalio::nvmf {

// A user of one namespace. All is called from the loop.
class NamespaceUser {
 public:
  virtual ~NamespaceUser() = default;

  // What its namespace is now, or why that is not known; the association is connected. False: it is
  // not what it was, and is to be identified again, later.
  virtual bool on_identified(const Result<IdentifyNamespace>& found) = 0;
  // While it is set the namespace may have changed: nothing is to be sent to it.
  virtual void set_doubted(bool doubted) = 0;
  // There may be room in the queue, for one command at least.
  virtual void issue_waiting() = 0;
  // The association is lost; what was in flight has ended.
  virtual void on_association_lost(const Status& why) = 0;
  // The first attempt to connect has failed, and there is no other.
  virtual void on_refused(const Status& why) = 0;
  // Whether an operation waits for the namespace.
  virtual bool waiting() const = 0;
};

// Belongs to the loop's thread.
class SharedAssociation final : public std::enable_shared_from_this<SharedAssociation> {
 public:
  // Makes what connects to the controller, before `deadline`; asked until it succeeds.
  using TransportMaker =
      std::function<Task<Result<std::unique_ptr<QueueTransport>>>(Nanos deadline)>;

  // What a namespace holds of the I/O queue. All users of the namespace have it together.
  struct Share {
    const std::uint32_t nsid;
    std::uint32_t held = 0;  // commands, those included that nobody waits for
    // They would submit more, were there room; oldest first.
    std::deque<NamespaceUser*> starved = {};
  };

  // `where`: the controller's address, for messages. Of the options it takes those of the
  // association; its I/O queue takes options.queue_depth commands for each of options.namespaces.
  SharedAssociation(EventLoop& loop, std::string where, std::string subsystem_nqn,
                    TransportMaker make_transport, InitiatorOptions options);
  ~SharedAssociation();

  // "SUBSYSTEM at ADDRESS".
  const std::string& name() const { return name_; }
  // It has no users any more, and takes none.
  bool closed() const { return closed_; }

  // From now on `user` has the namespace. The first user has it connect, once; whether that
  // succeeds or not, its users are told.
  std::shared_ptr<Share> join(std::shared_ptr<NamespaceUser> user, std::uint32_t nsid);
  // The user has no commands in flight, and is told nothing more. After the last one the
  // connections are dropped; the loop must turn twice more.
  void leave(NamespaceUser& user);
  // The same, but the last one tells the controller, and waits for it for 2 s at most.
  Task<void> leave_orderly(std::shared_ptr<NamespaceUser> user);

  // The namespace is identified as soon as can be. Its user holds it in doubt.
  void identify_again(NamespaceUser& user);
  // An operation begins to wait for the namespace.
  void hurry(NamespaceUser& user);

  bool connected() const { return connected_ && association_->io_queue().alive(); }
  // While it is not connected.
  const Status& why_lost() const { return lost_; }
  // Ends it; it is made again.
  void lose(Status why) { association_->lose(std::move(why)); }
  std::uint64_t max_transfer() const { return association_->max_transfer(); }

  // Whether another command may be sent. If not, because the namespace's share or the whole queue
  // is full, the user is told when there is room again: in turns among namespaces, and among the
  // users of one, who has waited longest first.
  bool has_room(Share& share, NamespaceUser& user);
  // Before and after a command's time with the queue. Who gives back and wants more should ask
  // again only then: others may have waited longer.
  void take(Share& share);
  void give_back(Share& share);
  Queue& io_queue() { return association_->io_queue(); }
  // Of a command whose owner waits no longer. Its buffer becomes another one, which is set aside
  // until the controller has answered or the association ends; so long it keeps its place.
  void set_aside(std::shared_ptr<Share> share, Submission& late);
  // Answers so far on the I/O queue, of all namespaces.
  std::uint64_t answers() const { return answers_; }
  void note_answer() { ++answers_; }

 private:
  class LateCommand;
  struct Member {
    std::shared_ptr<NamespaceUser> user;
    std::shared_ptr<Share> share;
    bool look = true;   // it is to be identified,
    Nanos look_at = 0;  // not before
    Nanos pause = 0;    // from there to the next time
  };

  Member* find(const NamespaceUser& user);
  bool remove(NamespaceUser& user);
  void deal();
  bool full(const Share& share) const { return share.held >= most_of_one_; }
  void line_up(Share& share);
  void begin_work();
  Task<void> work();
  Task<void> connect_again();
  void refuse_all();
  Task<Status> attach(Nanos bound);
  void on_lost(const Status& why);
  Member* due();
  Nanos next_work() const;
  Task<void> identify(std::shared_ptr<NamespaceUser> user);
  Task<void> read_event();
  bool waited_for() const;

  EventLoop& loop_;
  const std::string where_;
  const std::string nqn_;
  const std::string name_;
  const TransportMaker make_transport_;
  const InitiatorOptions options_;
  std::unique_ptr<QueueTransport> transport_;
  std::unique_ptr<Association> association_;

  bool connected_ = false;
  bool attempted_ = false;  // to connect, in vain or not
  bool closed_ = false;
  bool shutting_down_ = false;  // leave_orderly() has the association
  bool working_ = false;        // a coroutine has it
  Status lost_;
  Nanos bound_;  // of the next attempt to connect
  Nanos pause_before_ = 0;
  Pause* pause_ = nullptr;

  bool event_ = false;  // of namespaces, on this association, that was not looked at
  Nanos ask_at_ = 0;    // when to ask for the next; 0: it is asked for, or there are none

  std::list<Member> members_;
  std::map<std::uint32_t, std::weak_ptr<Share>> shares_;
  std::uint32_t depth_ = 0;        // commands in flight at most
  std::uint32_t most_of_one_ = 1;  // of one namespace
  std::uint32_t held_ = 0;         // of all
  std::uint64_t answers_ = 0;
  std::deque<Share*> starved_;  // with users who would submit more, were the queue not full
};

}  // namespace scalio::nvmf
