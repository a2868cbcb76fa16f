/* Sessions: writes that are done once, or are unknown (rule 8). A client has a batch of them in
 * flight, over connections that are lost, to a server that may start again.
 *
 * Run it by ./check; README.md has the results. The number of the rule is that of
 * docs/architecture.md.
 *
 * WHAT IS PROMISED
 *
 *   - No write is done twice (`done`).
 *   - Who is told that a write was done is told what it did itself (`answer`), and it was done.
 *   - A client that keeps the rules breaks no window (`window`).
 *
 * WHAT IS IN THE MODEL
 *
 *   - A client with WRITES writes, begun in any order and in flight together as far as the window
 *     goes. Each has a sequence. A request says up to which sequence all have been answered, or are
 *     not asked for any more.
 *   - Requests and answers, which overtake each other. A lost connection loses all that are under
 *     way, and the numbers of its calls; the client connects again and sends what is not answered.
 *   - Callers that wait no longer: their write is not sent again, and its sequence is given up once
 *     no answer can come.
 *   - A server that does writes in any order, beside each other, also when nobody is connected; or
 *     refuses one as busy, which is then sent as a new one.
 *   - Its places for writes: the sequence's lower bits say which. They become more when a write
 *     needs that, and fewer again.
 *   - A restart, which ends sessions: of the writes that were begun each is done or not. And a
 *     session that is forgotten because its client stays away.
 *
 * WHAT IS ABSTRACTED, AND WHY THAT HIDES NO ERROR
 *
 *   - What a write does is its number. That it is durable, and read from then on, is the matter of
 *     protocol.pml.
 *   - To do a write and to note its answer are one step: in between nobody but a restart looks, and
 *     that is a write that was done and not answered.
 *   - One session: sessions share nothing.
 *
 * Mutants are as in protocol.pml.
 */

#ifndef WRITES
#define WRITES 3
#endif
#ifndef WINDOW
#define WINDOW 4     /* writes in flight, and places at most: a power of two */
#endif
#ifndef LOSSES
#define LOSSES 1     /* of the connection */
#endif
#ifndef RESTARTS
#define RESTARTS 0   /* or sessions that are forgotten */
#endif
#ifndef BUSY
#define BUSY 0       /* writes that are refused */
#endif
#define SEQUENCES (WRITES + BUSY)
#define CALLS     (WRITES + BUSY)    /* on one connection */

/* --- The client ------------------------------------------------------------------------------- */

#define TO_SEND 0
#define FLYING  1    /* has a sequence */
#define ENDED   2

bit connected = 1;
byte next_sequence = 1;
byte next_call = 1;
byte at[WRITES];
byte sequence[WRITES];
byte call[WRITES];       /* on this connection; 0: not sent on it */
bit given_up[WRITES];

/* --- The network ------------------------------------------------------------------------------ */

#define REFUSED (WRITES + 1)
byte request[CALLS + 1];   /* by call: the write, from 1 on; 0: none */
byte said[CALLS + 1];      /* what is acknowledged, in it */
byte answer[CALLS + 1];    /* the write that was done, or REFUSED */

/* --- The server ------------------------------------------------------------------------------- */

byte acknowledged = 1;     /* every sequence below is */
byte highest;
byte places = 1;
byte place[WINDOW];        /* the sequence there */
byte caller[WINDOW];       /* of the latest request for it on this connection */
byte result[WINDOW];       /* 0: not finished */
byte doing[SEQUENCES + 1]; /* by sequence: the write, from 1 on */
byte done[WRITES + 1];     /* for the property: how often; by write, from 1 on */
byte losses, restarts, refusals;

byte i, w, s, k;           /* scratch within a step */

/* --- The client's steps ----------------------------------------------------------------------- */

/* Into s: the lowest sequence in flight; none: the next. */
inline lowest_in_flight() {
  s = next_sequence;
#ifdef ACKNOWLEDGE_ANSWERED
  /* Up to the last that was answered. */
  s = 1;
  for (i : 0 .. WRITES-1) {
    if :: at[i] == ENDED && sequence[i] >= s -> s = sequence[i] + 1 :: else fi
  }
#else
  for (i : 0 .. WRITES-1) { if :: at[i] == FLYING && sequence[i] < s -> s = sequence[i] :: else fi }
#endif
  i = 0
}

inline send(n) {
  call[n] = next_call; next_call++;
  lowest_in_flight();
  request[call[n]] = n + 1; said[call[n]] = s;
  printf("client: sends write %d as sequence %d by call %d; all below %d have ended\n", n + 1,
         sequence[n], call[n], s);
  s = 0
}

/* The lowest in flight, with this write not begun: whether the window has room. */
inline room() { lowest_in_flight(); k = (next_sequence < s + WINDOW); s = 0 }

inline unknown(n) {
  at[n] = ENDED; given_up[n] = 0; call[n] = 0;
  printf("client: write %d is unknown\n", n + 1)
}

proctype Client(byte me) {
end:
  do
  :: d_step { connected && at[me] == TO_SEND && next_call <= CALLS ->
       room();
       if
       :: k && next_sequence <= SEQUENCES ->
            sequence[me] = next_sequence; next_sequence++; at[me] = FLYING;
            send(me)
       :: else
       fi;
       k = 0
     }
  /* The same write again, which the server knows by its sequence. */
  :: d_step { connected && at[me] == FLYING && call[me] == 0 && !given_up[me] &&
              next_call <= CALLS -> send(me)
     }
  :: d_step { at[me] == FLYING && !given_up[me] ->
       given_up[me] = 1; printf("client: the caller of write %d waits no longer\n", me + 1)
     }
  :: d_step { at[me] == FLYING && given_up[me] && call[me] == 0 -> unknown(me) }
  :: d_step { call[me] != 0 && answer[call[me]] != 0 ->
       k = answer[call[me]]; answer[call[me]] = 0; call[me] = 0;
       if
       :: k == REFUSED && !given_up[me] ->
            at[me] = TO_SEND; sequence[me] = 0;
            printf("client: write %d was refused\n", me + 1)
       :: k == REFUSED && given_up[me] -> at[me] = ENDED; given_up[me] = 0
       :: else ->
            printf("client: write %d is answered: write %d was done\n", me + 1, k);
            assert(k == me + 1 && done[k] == 1 /* answer */);
            at[me] = ENDED; given_up[me] = 0
       fi;
       k = 0
     }
  od
}

/* --- The server's steps ----------------------------------------------------------------------- */

#define AT(sequence) ((sequence) & (places - 1))

/* As many places as `k`; those that are not acknowledged keep what they have. */
inline resize() {
  places = k;
  for (i : 0 .. WINDOW-1) {
    if
    :: place[i] != 0 && (place[i] < acknowledged || AT(place[i]) != i) ->
         if
         :: place[i] >= acknowledged ->
              place[AT(place[i])] = place[i]; caller[AT(place[i])] = caller[i];
              result[AT(place[i])] = result[i]
         :: else
         fi;
         place[i] = 0; caller[i] = 0; result[i] = 0
    :: else
    fi
  }
  i = 0; k = 0
}

/* A request arrives by call c: of write w, with sequence s. */
inline begin_write(c) {
  w = request[c]; s = sequence[w - 1]; k = said[c];
  request[c] = 0; said[c] = 0;
  k = (k < s -> k : s);
  acknowledged = (acknowledged > k -> acknowledged : k);
  assert(s >= acknowledged && s < acknowledged + WINDOW /* window */);
  highest = (highest > s -> highest : s);
#ifndef ONE_PLACE
  k = places;
  do
  :: s - acknowledged >= k -> k = 2 * k
  :: else -> break
  od;
  if :: k != places -> resize() :: else fi;
#endif
  i = AT(s);
  if
  :: place[i] != s ->
       printf("server: begins write %d, sequence %d\n", w, s);
       place[i] = s; caller[i] = c; result[i] = 0; doing[s] = w
  :: else ->
       caller[i] = c;
#ifdef NO_SESSION
       printf("server: begins write %d, sequence %d\n", w, s);
       doing[s] = w
#else
       if
       :: result[i] != 0 ->
            printf("server: answers sequence %d again\n", s);
            answer[c] = result[i]
       :: else
       fi
#endif
  fi;
  i = 0; w = 0; s = 0; k = 0
}

/* Sequence n is done, or refused: k says which. */
inline finish(n) {
  doing[n] = 0;
#ifdef FINISH_ANY
  if
  :: 1 ->
#else
  if
  :: place[AT(n)] == n && n >= acknowledged ->
#endif
       result[AT(n)] = k;
       if
       :: connected && caller[AT(n)] != 0 -> answer[caller[AT(n)]] = k
       :: else
       fi
  :: else
  fi;
  k = 0
}

inline perform(n) {
  k = doing[n];
  done[k]++;
  printf("server: does write %d, sequence %d\n", k, n);
  assert(done[k] == 1 /* done */)
}

proctype Server() {
  byte n;
end:
  do
  :: atomic { select(n : 1 .. CALLS);
       d_step { if :: request[n] != 0 -> begin_write(n) :: else fi; n = 0 }
     }
  :: atomic { select(n : 1 .. SEQUENCES);
       d_step { if :: doing[n] != 0 -> perform(n); finish(n) :: else fi; n = 0 }
     }
  :: atomic { refusals < BUSY -> select(n : 1 .. SEQUENCES);
       d_step {
         if
         :: doing[n] != 0 ->
              refusals++; k = REFUSED; printf("server: is busy: refuses sequence %d\n", n);
              finish(n)
         :: else
         fi;
         n = 0
       }
     }
  /* No more than half of them were needed. */
  :: d_step { places > 1 && 2 * (highest + 1 - acknowledged) <= places ->
       k = places / 2;
       resize()
     }
#ifdef SHRINK_ANY
  :: d_step { places > 1 -> k = places / 2; resize() }
#endif
  od
}

/* --- What goes wrong -------------------------------------------------------------------------- */

inline lose() {
  connected = 0; next_call = 1;
  for (i : 1 .. CALLS) { request[i] = 0; said[i] = 0; answer[i] = 0 }
  for (i : 0 .. WRITES-1) { call[i] = 0 }
  i = 0
}

/* A session without writes. */
inline new_session() {
  acknowledged = 1; highest = 0; places = 1;
  for (i : 0 .. WINDOW-1) { place[i] = 0; caller[i] = 0; result[i] = 0 }
  i = 0
}

/* What the client does of a session that is not the one it had. */
inline other_session() {
  next_sequence = 1;
  for (w : 0 .. WRITES-1) {
    if
    :: at[w] == FLYING ->
#ifdef SEND_AGAIN_ANYWAY
         at[w] = TO_SEND; given_up[w] = 0
#else
         unknown(w)
#endif
    :: else
    fi;
    sequence[w] = 0
  }
  w = 0
}

inline nothing_begun() {
  k = 1;
  for (i : 1 .. SEQUENCES) { if :: doing[i] != 0 -> k = 0 :: else fi }
  i = 0
}

proctype World() {
end:
  do
  :: d_step { connected && losses < LOSSES ->
       losses++; printf("world: the connection is lost\n");
       lose();
#ifdef SESSION_OF_CONNECTION
       new_session();
#endif
     }
  :: d_step { !connected ->
       printf("client: is connected again\n");
       connected = 1;
#ifndef CALLS_STAY
       for (i : 0 .. WINDOW-1) { caller[i] = 0 }
       i = 0
#endif
     }
  /* The session was not asked for in time. */
  :: d_step { !connected && restarts < RESTARTS ->
       nothing_begun();
       if
       :: k ->
            restarts++; printf("server: forgets the session; the client begins another\n");
            new_session(); other_session(); connected = 1
       :: else
       fi;
       k = 0
     }
  :: atomic { restarts < RESTARTS ->
       restarts++; printf("server: starts again\n");
       d_step { lose() };
       for (s : 1 .. SEQUENCES) {
         if
         :: doing[s] != 0 -> d_step { perform(s); doing[s] = 0; k = 0 }
         :: doing[s] = 0
         fi
       }
       d_step { s = 0; new_session(); other_session(); connected = 1 }
     }
  od
}

init {
  atomic {
    for (i : 0 .. WRITES-1) { run Client(i) }
    i = 0;
    run Server(); run World()
  }
}
