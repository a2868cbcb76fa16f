/* The protocol between Scalio's clients and its server, for one hash block and the buckets of its
 * keys.
 *
 * Run it by ./check; README.md has the results. The numbers of rules are those of
 * docs/architecture.md.
 *
 * WHAT IS PROMISED
 *
 * Each key is a linearizable register. Versions of a key are numbered in the order in which the
 * server publishes them, so it is enough to check, for every read (inline returns):
 *   - it returns no version older than one that was acknowledged, or that another read returned,
 *     before it began (`known` when it began);
 *   - it returns no version that was never written.
 * And with -DINVARIANTS, in every state:
 *   - no valid read slot holds a version of its key that is older than a known one;
 *   - a write slot becomes EMPTY only when its version is in its bucket.
 *
 * WHAT IS IN THE MODEL
 *
 *   - The server: puts into a new write slot, puts that replace the value in place, merges, reuse
 *     of slots. It is one thread, as the code is: a publish is not interrupted by a merge. Each of
 *     its stores to the block, and each load of a read-slot word, is a step of its own; clients do
 *     what they like in between.
 *   - Readers: hit, miss, fill, wait, bypass, steal. Between any two steps of a reader others may
 *     do any number of steps. So each reader may be frozen for as long as it likes and then go on
 *     (late WRITEs), or be dead.
 *   - A READ of a block is torn: read-slot words, read-slot bodies, write-slot words and write-slot
 *     bodies are read at different times, in any order.
 *   - CAS is a read and a write of the word, with CPU stores and clients' WRITEs in between. CASes
 *     of clients exclude each other: one NIC does them all (-DTWO_NICS: not).
 *   - An SSD read that overlaps the bucket's write returns the old content or the new, each time
 *     anew.
 *   - With -DDAMAGES: a stray WRITE damages the word of a write slot, which then looks EMPTY, or
 *     its body, whose checksum then fails. The server knows what it stored. A GET promises nothing
 *     if a word was damaged, and not yet put right, at any time while it ran.
 *
 * WHAT IS ABSTRACTED, AND WHY THAT HIDES NO ERROR
 *
 *   - A value is its version number. A deletion is a version like any other, and so is a key's
 *     absence: the code fills a tombstone of version 0, here it has the number of the deletion that
 *     made it, or 0 if there was none. Telling two deletions apart, which users cannot, makes the
 *     property stronger.
 *   - A checksum is a comparison: a body carries the generation and the key that it was written
 *     with. It is in the right slot, because a writer's address is never wrong: its position needs
 *     no comparison. A mixture of two bodies fits no generation; a reader treats it like a body of
 *     another generation, which it can meet there as well, so mixtures are left out. But not while
 *     a value is replaced in place, because then old and new have one generation: there the body is
 *     TORN for a while. A checksum that fits by accident (2^-32) is left out.
 *   - Generations do not wrap: a slot is filled FILLS times at most. In the code they wrap after
 *     65,536 fills.
 *   - Time: who has met an incomplete slot may wait, bypass or steal, at any moment. So no safety
 *     rests on the timeouts.
 *   - A write is acknowledged in the step that makes it visible, and a GET returns in the step that
 *     reads its data; a GET that starts over counts as a new one. Each moves an end of an operation
 *     to where it leaves less room, so the property checked is the stronger one.
 *   - The log: a put begins here when its record is durable. CLEAN slots are emptied at any time,
 *     not only when another key needs them.
 *   - Memory is sequentially consistent. What the fences are for is in NO_FENCE: a store after
 *     later loads.
 *   - Buckets: a key's record is read in one piece. Records that move between buckets are not in
 *     the model.
 *   - Rules 8 (sessions), 9 (restarts) and 10 (full blocks: here the put waits) are not in the
 *     model.
 *
 * THE MUTANTS
 *
 * Each takes out or turns round one rule by a macro, and must give a counterexample. `check` lists
 * them, with the size that each needs. A few more macros change something that turns out not to
 * matter.
 */

/* Sizes. */
#ifndef KEYS
#define KEYS 1     /* of the block */
#endif
#ifndef RSLOTS
#define RSLOTS 1   /* read slots: 1 or 2 */
#endif
#ifndef WSLOTS
#define WSLOTS 1   /* write slots: 1 or 2 */
#endif
#ifndef WRITES
#define WRITES 1   /* puts and deletes, over all keys */
#endif
#ifndef READERS
#define READERS 2  /* each does GETs for ever */
#endif
#ifndef FILLS
#define FILLS 3    /* of each read slot */
#endif
#ifndef DAMAGES
#define DAMAGES 0  /* of write slots */
#endif

/* Keys with ONE_TAG cannot be told apart by slot words. */
#ifdef ONE_TAG
#define TAG(k) 0
#else
#define TAG(k) (k)
#endif

/* --- The state that is shared ----------------------------------------------------------------- */

mtype = { EMPTY, LOCKED, DIRTY, CLEAN };
#define READABLE(s) ((s) == DIRTY || (s) == CLEAN)

#define NOBODY 99  /* key of a body that was never written */
#define TORN   99  /* version of a body that is being replaced in place */

typedef ReadSlot {
  bit visible; bit complete; byte generation; byte tag;  /* the word */
  /* the body: what the checksum covers, and the version */
  byte body_generation; byte body_key; byte body
};
typedef WriteSlot {
  mtype state; byte generation; byte tag;
  byte body_generation; byte body_key; byte body
};
ReadSlot rs[RSLOTS];
WriteSlot ws[WSLOTS];
bit cas_under_way[RSLOTS];  /* the NIC is between a CAS's read and its write */

byte ssd[KEYS];    /* the version in the bucket */
byte merging;      /* the key that is being written to its bucket, plus 1; 0: none */
byte merged;       /* the version that is being written */

byte newest[KEYS]; /* the last version that the server began to publish */
byte written;      /* puts so far */
byte known[KEYS];  /* for the property alone: the newest version acknowledged or returned */

#if DAMAGES > 0
bit unseen[WSLOTS];     /* the word is damaged: it looks EMPTY. ws[] has what the server stored */
bit torn[WSLOTS];       /* the body is damaged */
byte damages;           /* so far */
byte mending;           /* the write slot that is being put right, plus 1; 0: none */
bit misled;             /* a word was damaged, and is not yet put right */
bit excused[READERS+1]; /* by reader: its GET may return anything */
#ifdef REPAIR_BY_LOCKED
#define SEEN(i) (unseen[i] -> EMPTY : \
                 (mending == (i) + 1 && ws[i].state != EMPTY -> LOCKED : ws[i].state))
#else
#define SEEN(i) (unseen[i] -> EMPTY : ws[i].state)
#endif
#define SEEN_BODY(i) (torn[i] -> TORN : ws[i].body)
#define DAMAGED(i) (unseen[i] || torn[i] && ws[i].state == DIRTY)
#define EXCUSED excused[me]
#else
#define SEEN(i) ws[i].state
#define SEEN_BODY(i) ws[i].body
#define EXCUSED 0
#endif

byte h;            /* scratch within a step */

/* --- Mutants: the switches -------------------------------------------------------------------- */

#if defined(NO_GENERATION) || defined(NO_CHECKSUM)
#define READ_BODY_FITS(slot) 1
#else
#define READ_BODY_FITS(slot) (slot.generation == slot.body_generation)
#endif
#if defined(NO_CHECKSUM)
#define WRITE_BODY_FITS(slot) 1
#else
#define WRITE_BODY_FITS(slot) (slot.generation == slot.body_generation && slot.body != TORN)
#endif
#ifdef TAG_DECIDES
#define SAME_KEY(a, b) 1
#else
#define SAME_KEY(a, b) ((a) == (b))
#endif
#ifdef KILL_VALID_ONLY
#define TO_KILL(slot) (slot.visible && slot.complete)
#else
#define TO_KILL(slot) (slot.visible)
#endif
#ifdef CLEAN_ANYWAY
#define UNCHANGED 1
#else
#define UNCHANGED (newest[merging - 1] == merged)
#endif
#ifdef TWO_NICS
#define NIC_FREE(i) 1
#else
#define NIC_FREE(i) (!cas_under_way[i])
#endif
#ifdef SECOND_READ_IGNORES_CLEAN
#define GIVES_WAY(s) ((s) == LOCKED || (s) == DIRTY)
#else
#define GIVES_WAY(s) ((s) != EMPTY)
#endif

/* The naive orders have no write slots: a put changes cache and SSD, one after the other. */
#if defined(CACHE_FIRST) || defined(SSD_FIRST)
#define NAIVE
#endif

/* Rule 1: the order of a publish. */
#define IDLE    0
#define LOCK    1
#define KILL    2
#define KILL_2  3
#define BODY    4
#define PUBLISH 5
#define REPLY   6
#define REPLACE 7
#define SSD     8
#define FREE    9
#define MENDED  10
#if defined(NO_LOCKED)
#define FIRST         KILL
#define AFTER_KILL    BODY
#elif defined(NO_FENCE)  /* the store of LOCKED is late: it is seen after the loads of the kill */
#define FIRST         KILL
#define AFTER_KILL    LOCK
#define AFTER_LOCK    BODY
#elif defined(NO_KILL)
#define FIRST         LOCK
#define AFTER_LOCK    BODY
#define AFTER_KILL    BODY         /* not reached */
#elif defined(KILL_AFTER_PUBLISH)
#define FIRST         LOCK
#define AFTER_LOCK    BODY
#define AFTER_PUBLISH KILL
#define AFTER_KILL    REPLY
#elif defined(KILL_AT_MERGE_ONLY)
#define FIRST         LOCK
#define AFTER_LOCK    BODY
#define AFTER_KILL    FREE
#elif defined(CACHE_FIRST)
#define FIRST         KILL
#define AFTER_KILL    SSD
#define AFTER_SSD     REPLY
#elif defined(SSD_FIRST)
#define FIRST         SSD
#define AFTER_SSD     KILL
#define AFTER_KILL    REPLY
#else                              /* as it should be: LOCK, KILL, BODY, PUBLISH with the reply */
#define FIRST         LOCK
#define AFTER_LOCK    KILL
#define AFTER_KILL    BODY
#endif

/* --- The server ------------------------------------------------------------------------------- */

#define IS_EMPTY(i) (ws[i].state == EMPTY)
#define IS_DIRTY(i) (ws[i].state == DIRTY)
#define IS_CLEAN(i) (ws[i].state == CLEAN)
#if WSLOTS == 1
#define SOME(is) is(0)
#define PICK(is) if :: is(0) -> w = 0 fi
#else
#define SOME(is) (is(0) || is(1))
#define PICK(is) if :: is(0) -> w = 0 :: is(1) -> w = 1 fi
#endif

inline lock() {
  ws[w].state = LOCKED; ws[w].tag = TAG(k);
  printf("server: write slot %d: LOCKED for key %d\n", w, k)
}
inline reply() {
  printf("server: the put of version %d of key %d is acknowledged\n", newest[k], k);
  if :: known[k] < newest[k] -> known[k] = newest[k] :: else fi;
  k = 0; w = 0; phase = IDLE
}
#if DAMAGES > 0
#define NOW_AFTER_KILL (mending -> MENDED : AFTER_KILL)
#else
#define NOW_AFTER_KILL AFTER_KILL
#endif
inline next_read_slot() {
  if :: r + 1 < RSLOTS -> r++; phase = KILL :: else -> r = 0; phase = NOW_AFTER_KILL fi
}

/* Rule 11: the word of slot i is stored as it should be, in a generation that no body has; then the
   kill. */
inline begin_mending(i) {
  printf("server: write slot %d was damaged: its word is stored again\n", i);
#ifdef NO_REPAIR_KILL
  unseen[i] = 0; torn[i] = 0; misled = 0
#else
  w = i; k = ws[i].body_key; unseen[i] = 0;
  ws[i].generation++;
  mending = i + 1; phase = KILL
#endif
}

proctype Server() {
  byte phase = IDLE, k, w, r;
#if DAMAGES > 0
  bit replying;
#endif
#if defined(KILL_BY_WORD) || defined(KILL_BY_CAS)
  bit seen_complete; byte seen_generation, seen_tag;
#endif

end:
  do
#ifdef NAIVE
  :: atomic { phase == IDLE && written < WRITES ->
       select(k : 0 .. KEYS-1);
       newest[k]++; written++; phase = FIRST
     }
#else
  /* A put whose record is durable. If a write slot has the key, the value is replaced there. */
  :: atomic { phase == IDLE && written < WRITES ->
       select(k : 0 .. KEYS-1);
       for (h : 0 .. WSLOTS-1) {
         if
         :: ws[h].state != EMPTY && ws[h].body_key == k -> w = h; phase = REPLACE
         :: else
         fi
       }
       h = 0;
       if
       :: phase == REPLACE ->
            newest[k]++; written++;
            ws[w].body = TORN;
            printf("server: write slot %d: begins to replace the body by version %d of key %d\n",
                   w, newest[k], k)
       :: phase == IDLE && SOME(IS_EMPTY) ->
            PICK(IS_EMPTY);
            newest[k]++; written++;
            phase = FIRST;
#ifndef NO_WRITE_GENERATION
            ws[w].generation++;
#endif
#ifdef AFTER_LOCK
#ifndef NO_FENCE
            lock(); phase = AFTER_LOCK
#endif
#endif
       :: else -> k = 0  /* no slot is free */
       fi
     }
#endif

#ifdef NO_FENCE
  :: d_step { phase == LOCK -> lock(); phase = AFTER_LOCK }
#endif

  /* Kill: for each read slot, load the word; if it has the key, store the one byte (rule 3). */
  :: d_step { phase == KILL ->
       if
       :: TO_KILL(rs[r]) && rs[r].tag == TAG(k) ->
            phase = KILL_2;
#if defined(KILL_BY_WORD) || defined(KILL_BY_CAS)
            seen_complete = rs[r].complete; seen_generation = rs[r].generation; seen_tag = rs[r].tag
#endif
       :: else -> next_read_slot()
       fi
     }
  :: d_step { phase == KILL_2 ->
#ifdef KILL_BY_CAS
       if
       :: rs[r].visible && rs[r].complete == seen_complete && rs[r].generation == seen_generation &&
          rs[r].tag == seen_tag ->
            rs[r].visible = 0;
            printf("server: read slot %d: killed by CAS\n", r);
            next_read_slot()
       :: else -> phase = KILL
       fi;
       seen_complete = 0; seen_generation = 0; seen_tag = 0
#else
       rs[r].visible = 0;
#ifdef KILL_BY_WORD
       rs[r].complete = seen_complete; rs[r].generation = seen_generation; rs[r].tag = seen_tag;
       seen_complete = 0; seen_generation = 0; seen_tag = 0;
#endif
       printf("server: read slot %d: killed (visible = 0)\n", r);
       next_read_slot()
#endif
     }

#ifndef NAIVE
  :: d_step { phase == BODY ->
       ws[w].body_generation = ws[w].generation; ws[w].body_key = k; ws[w].body = newest[k];
       printf("server: write slot %d: body is version %d of key %d\n", w, newest[k], k);
       phase = PUBLISH
     }
  :: d_step { phase == PUBLISH ->
       ws[w].state = DIRTY; ws[w].tag = TAG(k);
       printf("server: write slot %d: DIRTY\n", w);
#ifdef AFTER_PUBLISH
       phase = AFTER_PUBLISH
#else
       reply()
#endif
     }
  :: d_step { phase == REPLACE ->
       ws[w].body = newest[k]; ws[w].state = DIRTY;
       printf("server: write slot %d: body is version %d of key %d; DIRTY\n", w, newest[k], k);
#if DAMAGES > 0
       torn[w] = 0;
       if
       :: unseen[w] ->
            begin_mending(w);
#ifdef NO_REPAIR_KILL
            reply()
#else
            replying = 1
#endif
       :: else -> reply()
       fi
#else
       reply()
#endif
     }
#endif
#if DAMAGES > 0
  /* The walk has found something. */
  :: atomic {
       phase == IDLE && SOME(DAMAGED) -> PICK(DAMAGED);
       d_step { begin_mending(w); if :: phase == IDLE -> w = 0 :: else fi }
     }
  /* The read slots are killed. A body that is damaged and not in the log any more stays so. */
  :: d_step { phase == MENDED ->
       if :: ws[w].state != EMPTY -> ws[w].body_generation = ws[w].generation :: else fi;
       if :: ws[w].state != CLEAN -> torn[w] = 0 :: else fi;
       printf("server: write slot %d is right again\n", w);
       mending = 0; misled = 0;
       for (h : 0 .. WSLOTS-1) { misled = misled || unseen[h] }
       h = 0;
       if :: replying -> replying = 0; reply() :: else -> k = 0; w = 0; phase = IDLE fi
     }
#endif
#if defined(AFTER_PUBLISH) || defined(NAIVE)
  :: d_step { phase == REPLY -> reply() }
#endif

#ifdef NAIVE
  /* In one step: even so these orders fail. */
  :: d_step { phase == SSD ->
       ssd[k] = newest[k]; phase = AFTER_SSD;
       printf("server: version %d of key %d is in its bucket\n", ssd[k], k)
     }
#else
  /* Merge: the bucket's write begins, */
  :: atomic { phase == IDLE && merging == 0 && SOME(IS_DIRTY) ->
       PICK(IS_DIRTY);
       merging = ws[w].body_key + 1; merged = newest[ws[w].body_key];
       printf("server: begins to write version %d of key %d to its bucket\n", merged, merging - 1);
#ifdef FREE_BEFORE_MERGE
       ws[w].state = EMPTY;
       printf("server: write slot %d: EMPTY\n", w);
#endif
       w = 0
     }
  /* and ends. A value that has changed meanwhile stays DIRTY (rule 7). */
  :: d_step { phase == IDLE && merging != 0 ->
       ssd[merging - 1] = merged;
       printf("server: version %d of key %d is in its bucket\n", merged, merging - 1);
       for (h : 0 .. WSLOTS-1) {
         if
         :: ws[h].state == DIRTY && ws[h].body_key == merging - 1 && UNCHANGED ->
              ws[h].state = CLEAN;
              printf("server: write slot %d: CLEAN\n", h);
#if DAMAGES > 0
              if :: unseen[h] -> begin_mending(h) :: else fi
#endif
         :: else
         fi
       }
       h = 0; merging = 0; merged = 0
     }
  /* A write slot is emptied, for another key (rule 7). */
  :: atomic { phase == IDLE && SOME(IS_CLEAN) ->
       PICK(IS_CLEAN);
#ifdef KILL_AT_MERGE_ONLY
       k = ws[w].body_key; phase = KILL
#else
#ifdef INVARIANTS
       assert(ssd[ws[w].body_key] == newest[ws[w].body_key]);
#endif
       ws[w].state = EMPTY;
       printf("server: write slot %d: EMPTY\n", w);
#if DAMAGES > 0
       torn[w] = 0;
       if
       :: unseen[w] -> d_step { begin_mending(w); if :: phase == IDLE -> w = 0 :: else fi }
       :: else -> w = 0
       fi
#else
       w = 0
#endif
#endif
     }
#ifdef KILL_AT_MERGE_ONLY
  :: d_step { phase == FREE ->
       ws[w].state = EMPTY;
       printf("server: write slot %d: EMPTY\n", w);
       w = 0; k = 0; phase = IDLE
     }
#endif
#endif
  od
}

/* --- Readers ---------------------------------------------------------------------------------- */

/* What a reader does next. */
#define SNAPSHOT   0  /* READ the block */
#define CHOOSE     1  /* no slot of the snapshot has the key */
#define CAS        2  /* the write of the CAS, whose read was as expected */
#define AGAIN      3  /* READ the write-slot words again */
#define NVME       4  /* read the SSD */
#define WRITE      5  /* WRITE the body */
#define COMPLETE   6  /* WRITE complete = 1 */
#define GIVE_BACK  7  /* WRITE visible = 0 */
#define GIVE_BACK2 8  /* WRITE complete = 1 */
#define MUTANT     9

/* The parts of a READ of the block, in the order in which they lie there. */
#define READ_WORDS   1
#define READ_TAGS    2   /* generations and tags of the words, if */
#ifdef TORN_READ_WORD    /* words are torn as well */
#define ALL_1 READ_TAGS
#else
#define ALL_1 0
#endif
#define WRITE_WORDS  4
#define WRITE_TAGS   8
#ifdef TORN_WRITE_WORD
#define ALL_2 WRITE_TAGS
#else
#define ALL_2 0
#endif
#define READ_BODIES  16
#define WRITE_BODIES 32
#define ALL (READ_WORDS + WRITE_WORDS + READ_BODIES + WRITE_BODIES + ALL_1 + ALL_2)

/* They are read in any order, unless a smaller search is wanted. */
#if defined(FORWARD)
#define MAY_READ(part) (at == SNAPSHOT && !(got & (part)) && \
                        (got & ((part) - 1)) == (ALL & ((part) - 1)))
#elif defined(BACKWARD)
#define MAY_READ(part) (at == SNAPSHOT && !(got & (part)) && \
                        ((got | (2 * (part) - 1)) & ALL) == ALL)
#else
#define MAY_READ(part) (at == SNAPSHOT && !(got & (part)))
#endif

/* What a snapshot says of the key. */
#define NONE     0
#define FILLING  1
#define HIT      2
#define REPLACED 3

/* A GET returns version v. */
inline returns(v) {
  printf("reader %d: GET of key %d returns version %d; version %d was known when it began\n",
         me, k, v, floor);
  assert(EXCUSED || v >= floor);
  assert(v <= newest[k]);
  if :: known[k] < v && !EXCUSED -> known[k] = v :: else fi
}

inline forget_words() {
  for (h : 0 .. RSLOTS-1) { r[h].visible = 0; r[h].complete = 0; r[h].generation = 0; r[h].tag = 0 }
  h = 0
}
inline forget_the_rest() {
  for (h : 0 .. RSLOTS-1) { r[h].body_generation = 0; r[h].body_key = 0; r[h].body = 0 }
  for (h : 0 .. WSLOTS-1) {
    x[h].state = 0; x[h].generation = 0; x[h].tag = 0;
    x[h].body_generation = 0; x[h].body_key = 0; x[h].body = 0
  }
  h = 0
}

/* The GET is over, or starts over: no difference here. */
inline over() {
#ifdef RESTORE_VICTIM
  v.visible = 0; v.complete = 0; v.generation = 0; v.tag = 0;
#endif
#if DAMAGES > 0
  excused[me] = 0;
#endif
  at = SNAPSHOT; k = 0; floor = 0; got = 0; slot = 0; found = NONE; mine = 0; value = 0;
  forget_words(); forget_the_rest()
}

/* Rule 4. */
inline look_in_write_slots() {
  for (h : 0 .. WSLOTS-1) {
    if
    :: found < HIT && READABLE(x[h].state) && x[h].tag == TAG(k) ->
         if
         :: !WRITE_BODY_FITS(x[h]) ->
#ifdef FALL_THROUGH
              skip
#else
              found = REPLACED
#endif
         :: else -> if :: SAME_KEY(x[h].body_key, k) -> found = HIT; value = x[h].body :: else fi
         fi
    :: else
    fi
  }
}
inline look_in_read_slots() {
  for (h : 0 .. RSLOTS-1) {
    if
    :: found < HIT && r[h].visible && r[h].tag == TAG(k) ->
         if
         :: !r[h].complete -> found = FILLING; slot = h
         :: r[h].complete && READ_BODY_FITS(r[h]) && r[h].body_key != NOBODY &&
            SAME_KEY(r[h].body_key, k) ->
              found = HIT; value = r[h].body
         :: else
         fi
    :: else
    fi
  }
}

/* `part` of the block has been read. */
inline have(part) {
  h = 0;
  if
  :: got == 0 ->
       floor = known[k];
#if DAMAGES > 0
       excused[me] = misled
#endif
  :: else
  fi;
  got = got | part;
  if
  :: got != ALL
  :: else ->
#ifdef READ_SLOTS_WIN
       look_in_read_slots(); look_in_write_slots();
#else
       look_in_write_slots(); look_in_read_slots();
#endif
       h = 0;
       if
       :: found == HIT -> returns(value); over()
       :: found == REPLACED ->
            printf("reader %d: a write slot is being replaced; starts over\n", me);
            over()
       :: else -> got = 0; at = CHOOSE; forget_the_rest()
       fi
  fi
}

/* An SSD read: while the bucket is being written, the old or the new. */
inline read_ssd() {
  if
  :: value = ssd[k]
  :: merging == k + 1 -> value = merged
  fi;
  printf("reader %d: reads version %d of key %d from the SSD\n", me, value, k)
}

/* Rule 2: READ the word of write slot i again. With two of them, in either order. */
inline read_again(i) {
  printf("reader %d: READ the word of write slot %d again: %e\n", me, i, SEEN(i));
  if
  :: GIVES_WAY(SEEN(i)) && ws[i].tag == TAG(k) -> got = 0; mine = 0; floor = 0; at = GIVE_BACK
  :: else ->
       got = got | (1 << i);
       if :: got + 1 == (1 << WSLOTS) -> got = 0; at = NVME :: else fi
  fi
}

proctype Reader(byte me) {
  byte at = SNAPSHOT;
  byte k;         /* the key */
  byte floor;     /* the version that was known when the GET began */
  byte got;       /* parts of the block that have been read */
  ReadSlot r[RSLOTS];
  WriteSlot x[WSLOTS];
  byte found;     /* what they say */
  byte slot;      /* the read slot that is being filled */
  byte mine;      /* its generation */
  byte value;     /* the version read */
#ifdef RESTORE_VICTIM
  ReadSlot v;     /* the word that its CAS replaced */
#endif

end:
  do
#if KEYS > 1
  :: atomic { at == SNAPSHOT && got == 0 && k == 0 -> select(k : 1 .. KEYS-1) }
#endif

  /* READ the block. */
  :: d_step { MAY_READ(READ_WORDS) ->
       for (h : 0 .. RSLOTS-1) {
         r[h].visible = rs[h].visible; r[h].complete = rs[h].complete;
#ifdef TORN_READ_WORD
         printf("reader %d: READ the state of read slot %d: visible %d, complete %d\n",
                me, h, rs[h].visible, rs[h].complete)
#else
         r[h].generation = rs[h].generation; r[h].tag = rs[h].tag;
         printf(
             "reader %d: READ the word of read slot %d: visible %d, complete %d, generation %d\n",
                me, h, rs[h].visible, rs[h].complete, rs[h].generation)
#endif
       }
       have(READ_WORDS)
     }
  :: d_step { MAY_READ(WRITE_WORDS) ->
       for (h : 0 .. WSLOTS-1) {
         x[h].state = SEEN(h);
#ifdef TORN_WRITE_WORD
         printf("reader %d: READ the state of write slot %d: %e\n", me, h, ws[h].state)
#else
         x[h].generation = ws[h].generation; x[h].tag = ws[h].tag;
         printf("reader %d: READ the word of write slot %d: %e, generation %d\n",
                me, h, SEEN(h), ws[h].generation)
#endif
       }
       have(WRITE_WORDS)
     }
#ifdef TORN_READ_WORD
  :: d_step { MAY_READ(READ_TAGS) ->
       for (h : 0 .. RSLOTS-1) {
         r[h].generation = rs[h].generation; r[h].tag = rs[h].tag;
         printf("reader %d: READ the generation of read slot %d: %d\n", me, h, rs[h].generation)
       }
       have(READ_TAGS)
     }
#endif
#ifdef TORN_WRITE_WORD
  :: d_step { MAY_READ(WRITE_TAGS) ->
       for (h : 0 .. WSLOTS-1) {
         x[h].generation = ws[h].generation; x[h].tag = ws[h].tag;
         printf("reader %d: READ the generation of write slot %d: %d\n", me, h, ws[h].generation)
       }
       have(WRITE_TAGS)
     }
#endif
  :: d_step { MAY_READ(READ_BODIES) ->
       for (h : 0 .. RSLOTS-1) {
         r[h].body_generation = rs[h].body_generation; r[h].body_key = rs[h].body_key;
         r[h].body = rs[h].body;
         printf("reader %d: READ the body of read slot %d: generation %d, version %d\n",
                me, h, rs[h].body_generation, rs[h].body)
       }
       have(READ_BODIES)
     }
  :: d_step { MAY_READ(WRITE_BODIES) ->
       for (h : 0 .. WSLOTS-1) {
         x[h].body_generation = ws[h].body_generation; x[h].body_key = ws[h].body_key;
         x[h].body = SEEN_BODY(h);
         printf("reader %d: READ the body of write slot %d: generation %d, version %d\n",
                me, h, ws[h].body_generation, SEEN_BODY(h))
       }
       have(WRITE_BODIES)
     }

  /* Rule 5: wait, which is to start over; */
  :: d_step { at == CHOOSE -> printf("reader %d: starts over\n", me); over() }
  /* or bypass: read the SSD without filling. */
  :: atomic { at == CHOOSE -> read_ssd(); d_step { returns(value); over() } }

  /* Rule 2: CAS the victim's word: any slot, also one that is being filled (rule 6). If somebody
     else is filling our key, it can only be that slot. */
  :: atomic { at == CHOOSE ->
       if :: found == NONE -> select(slot : 0 .. RSLOTS-1) :: else fi;
       if
       :: r[slot].generation < FILLS && NIC_FREE(slot) &&
          rs[slot].visible == r[slot].visible && rs[slot].complete == r[slot].complete &&
          rs[slot].generation == r[slot].generation && rs[slot].tag == r[slot].tag ->
            printf(
                "reader %d: CAS of slot %d as expected: visible %d, complete %d, generation %d\n",
                   me, slot, rs[slot].visible, rs[slot].complete, rs[slot].generation);
            cas_under_way[slot] = 1;
#ifdef STEAL_KEEPS_GENERATION
            mine = r[slot].generation + r[slot].complete;
#else
            mine = r[slot].generation + 1;
#endif
            found = NONE;
#ifdef RESTORE_VICTIM
            v.visible = r[slot].visible; v.complete = r[slot].complete;
            v.generation = r[slot].generation; v.tag = r[slot].tag;
#endif
            d_step { forget_words() }
#ifdef SECOND_READ_BEFORE_CAS
            at = MUTANT
#else
            at = CAS
#endif
       :: else ->
#ifdef FAILED_CAS_WRITES
            if
            :: NIC_FREE(slot) ->
                 cas_under_way[slot] = 1; at = MUTANT;
                 r[slot].visible = rs[slot].visible; r[slot].complete = rs[slot].complete;
                 r[slot].generation = rs[slot].generation; r[slot].tag = rs[slot].tag;
                 printf(
                "reader %d: CAS of slot %d, another word: visible %d, complete %d, generation %d\n",
                        me, slot, r[slot].visible, r[slot].complete, r[slot].generation)
            :: else -> d_step { over() }
            fi
#else
            d_step { over() }
#endif
       fi
     }
#ifdef FAILED_CAS_WRITES
  :: d_step { at == MUTANT ->
       rs[slot].visible = r[slot].visible; rs[slot].complete = r[slot].complete;
       rs[slot].generation = r[slot].generation; rs[slot].tag = r[slot].tag;
       cas_under_way[slot] = 0;
       printf("reader %d: CAS of slot %d writes back visible %d, complete %d, generation %d\n",
              me, slot, r[slot].visible, r[slot].complete, r[slot].generation);
       over()
     }
#endif
  :: d_step { at == CAS ->
       rs[slot].visible = 1; rs[slot].complete = 0; rs[slot].generation = mine;
       rs[slot].tag = TAG(k);
       cas_under_way[slot] = 0;
       printf("reader %d: CAS of slot %d writes: visible 1, complete 0, generation %d\n",
              me, slot, mine);
#if defined(NO_SECOND_READ) || defined(SECOND_READ_BEFORE_CAS) || defined(NAIVE)
       at = NVME
#elif defined(SSD_BEFORE_SECOND_READ)
       at = MUTANT
#else
       at = AGAIN
#endif
     }

#ifdef SECOND_READ_BEFORE_CAS
  :: d_step { at == MUTANT ->
       at = CAS;
       for (h : 0 .. WSLOTS-1) {
         printf("reader %d: READ the word of write slot %d again: %e\n", me, h, ws[h].state);
         if :: GIVES_WAY(ws[h].state) && ws[h].tag == TAG(k) -> at = MUTANT :: else fi
       }
       h = 0;
       if :: at == MUTANT -> cas_under_way[slot] = 0; over() :: else fi
     }
#endif

  :: d_step { at == AGAIN && !(got & 1) -> read_again(0) }
#if WSLOTS > 1
  :: d_step { at == AGAIN && !(got & 2) -> read_again(1) }
#endif

#ifdef SSD_BEFORE_SECOND_READ
  :: atomic { at == MUTANT -> read_ssd(); at = AGAIN }
  :: d_step { at == NVME -> returns(value); floor = 0; at = WRITE }
#else
  :: atomic { at == NVME -> read_ssd(); d_step { returns(value); floor = 0; at = WRITE } }
#endif

  /* WRITE the body; ordered after it, WRITE complete = 1. */
#ifdef COMPLETE_FIRST
  :: d_step { at == WRITE ->
       rs[slot].complete = 1;
       printf("reader %d: WRITE complete = 1 to read slot %d\n", me, slot);
       at = COMPLETE
     }
  :: d_step { at == COMPLETE ->
       rs[slot].body_generation = mine; rs[slot].body_key = k; rs[slot].body = value;
       printf("reader %d: WRITE the body of read slot %d: generation %d, version %d\n",
              me, slot, mine, value);
       over()
     }
#else
  :: d_step { at == WRITE ->
       rs[slot].body_generation = mine; rs[slot].body_key = k; rs[slot].body = value;
       printf("reader %d: WRITE the body of read slot %d: generation %d, version %d\n",
              me, slot, mine, value);
       mine = 0; value = 0; at = COMPLETE
     }
  :: d_step { at == COMPLETE ->
       rs[slot].complete = 1;
       printf("reader %d: WRITE complete = 1 to read slot %d\n", me, slot);
       over()
     }
#endif
  /* The bucket could not be read, or its record fits no slot. */
  :: d_step { at == WRITE -> mine = 0; value = 0; at = GIVE_BACK }
  /* Give the slot back: first visible = 0, then complete = 1. */
#ifdef RESTORE_VICTIM  /* even by a CAS that leaves a killed slot alone */
  :: d_step { at == GIVE_BACK && v.visible && v.complete ->
       if
       :: rs[slot].visible && !rs[slot].complete && rs[slot].generation == v.generation + 1 &&
          rs[slot].tag == TAG(k) ->
            rs[slot].complete = 1; rs[slot].generation = v.generation; rs[slot].tag = v.tag;
            printf("reader %d: gives read slot %d back to its victim: generation %d\n",
                   me, slot, v.generation)
       :: else
       fi;
       over()
     }
  :: d_step { at == GIVE_BACK && !(v.visible && v.complete) ->
#else
  :: d_step { at == GIVE_BACK ->
#endif
#ifdef GIVE_BACK_REVERSED
       rs[slot].complete = 1;
       printf("reader %d: gives read slot %d back: WRITE complete = 1\n", me, slot);
#else
       rs[slot].visible = 0;
       printf("reader %d: gives read slot %d back: WRITE visible = 0\n", me, slot);
#endif
       at = GIVE_BACK2
     }
  :: d_step { at == GIVE_BACK2 ->
#ifdef GIVE_BACK_REVERSED
       rs[slot].visible = 0;
       printf("reader %d: gives read slot %d back: WRITE visible = 0\n", me, slot);
#else
       rs[slot].complete = 1;
       printf("reader %d: gives read slot %d back: WRITE complete = 1\n", me, slot);
#endif
       over()
     }
  od
}

#if DAMAGES > 0
#define MAY_DAMAGE(i) (READABLE(ws[i].state) && !unseen[i] && !torn[i])
proctype Stray() {
  byte w;
end:
  do
  :: atomic { damages < DAMAGES && SOME(MAY_DAMAGE) ->
       PICK(MAY_DAMAGE);
       damages++;
       if
       :: unseen[w] = 1; misled = 1;
          for (h : 1 .. READERS) { excused[h] = 1 }
          h = 0;
          printf("server: a stray WRITE damages the word of write slot %d\n", w)
       :: torn[w] = 1; printf("server: a stray WRITE damages the body of write slot %d\n", w)
       fi;
       w = 0
     }
  od
}
#endif

#ifdef INVARIANTS
#if DAMAGES > 0
#define MISLED misled
#else
#define MISLED 0
#endif
#define HIDDEN_STALE(i) (!MISLED && rs[i].visible && rs[i].complete && rs[i].body_key != NOBODY && \
                         rs[i].generation == rs[i].body_generation && \
                         rs[i].body < known[rs[i].body_key])
proctype Invariant() {
end:
  do
  :: HIDDEN_STALE(0) -> assert(false)
#if RSLOTS > 1
  :: HIDDEN_STALE(1) -> assert(false)
#endif
  od
}
#endif

init {
  atomic {
    for (h : 0 .. RSLOTS-1) { rs[h].complete = 1; rs[h].body_key = NOBODY }
    for (h : 0 .. WSLOTS-1) { ws[h].state = EMPTY; ws[h].body_key = NOBODY }
    run Server();
#if DAMAGES > 0
    run Stray();
#endif
    for (h : 1 .. READERS) { run Reader(h) }
#ifdef INVARIANTS
    run Invariant();
#endif
    h = 0
  }
}
