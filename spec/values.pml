/* Large values: one key, two segments of the value log with room for a value each (rule 15).
 *
 * Run it by ./check; README.md has the results. The number of the rule is that of
 * docs/architecture.md.
 *
 * WHAT IS PROMISED
 *
 *   - The record that a restart finds has its value, also if the log is lost. If it is not, the
 *     record is no older than one that was published.
 *   - A reader that finds something else than the value of the record that it has read finds
 *     another record when it looks again; and it never returns another version's value.
 *   - No reader gets a version older than one that was published before it began: a move never wins
 *     against a newer write.
 *
 * WHAT IS IN THE MODEL
 *
 *   - A writer: takes a free segment, writes the value, flushes, logs, publishes. Or its value is
 *     small, and in the record itself.
 *   - The cleaner: looks whether the key's record points to the segment; if so, copies the value to
 *     a free one, flushes, logs the new pointer if the record is still the one that it has seen;
 *     waits for the merge; flushes; the segment is free.
 *   - The merger, which writes the bucket in two steps; and the log's reuse of what is in a bucket
 *     for sure.
 *   - Power cuts at any moment: of what was not flushed, each segment and the bucket may be lost.
 *     With the log, what it has of the segments is lost: then the table tells which were free when
 *     it was written, and each segment's header whether it was begun since.
 *   - A reader: the slot, else the bucket, then the segment, with anything in between.
 *
 * WHAT IS ABSTRACTED, AND WHY THAT HIDES NO ERROR
 *
 *   - A value is its version, and so is what its parts carry. Values are written in one step: a mix
 *     fits no version.
 *   - A record is logged, durable and published in one step: protocol.pml has the publication.
 *   - After a power cut a segment that was not free counts as filled, and is cleaned again.
 *   - A segment's header is written with its value: what is flushed of one is of the other.
 *
 * Mutants are as in protocol.pml.
 */

#ifndef WRITES
#define WRITES 2   /* after version 1 */
#endif
#ifndef CUTS
#define CUTS 1     /* of the power */
#endif

/* --- The device: what is read now, and what a power cut leaves for sure ----------------------- */

byte segment[2];   /* the version of the value in it */
byte segment_kept[2];
bit begun[2];      /* its header tells of a filling that the table does not have */
bit begun_kept[2];
bit free_then[2];  /* by the table */
byte bucket = 1;   /* the record: its version and its segment */
byte bucket_at;
byte bucket_kept = 1;
byte bucket_kept_at;
bit in_log;        /* the log has the key's newest record; of it: */
byte log_at;
byte log_first_at; /* the segment in the first record with this version */
byte log_version;

/* --- The server ------------------------------------------------------------------------------- */

mtype = { EMPTY, DIRTY, CLEAN, FREE, TAKEN, FILLED, CLEANED };
mtype slot = EMPTY;
byte slot_version; byte slot_at;
mtype use[2];      /* of the segments */
byte known = 1;    /* the newest version that was published */
byte written = 1;
byte cuts;

/* Where each is. A power cut takes all back. */
#define IDLE   0
#define COPY   1
#define FLUSH  2
#define COMMIT 3
#define WAIT   4
#define SETTLE 5
byte writer = IDLE; byte writer_at;
byte cleaner = IDLE; byte cleaned; byte moving_to; byte moved;
bit merging; byte merging_version; byte merging_at;

#define NOWHERE 2  /* a small value, in the record: "segment 2" in traces */
#define VALUE(v, at) ((at) == NOWHERE -> (v) : segment[at])
#define RECORD    (slot != EMPTY -> slot_version : bucket)
#define RECORD_AT (slot != EMPTY -> slot_at : bucket_at)

inline flush() {
  segment_kept[0] = segment[0]; segment_kept[1] = segment[1];
  begun_kept[0] = begun[0]; begun_kept[1] = begun[1];
  bucket_kept = bucket; bucket_kept_at = bucket_at
}
inline enter(v, to) {
  if :: !in_log || log_version != v -> log_first_at = to :: else fi;
  in_log = 1; log_version = v; log_at = to;
  slot = DIRTY; slot_version = v; slot_at = to
}

proctype Writer() {
end:
  do
  :: atomic { writer == IDLE && written <= WRITES && (use[0] == FREE || use[1] == FREE) ->
       if
       :: use[0] == FREE -> writer_at = 0
       :: use[1] == FREE -> writer_at = 1
       fi;
       use[writer_at] = TAKEN; written++; writer = COPY
     }
  :: atomic { writer == IDLE && written <= WRITES ->
       writer_at = NOWHERE; written++; writer = COMMIT
     }
  :: d_step { writer == COPY ->
       segment[writer_at] = written; begun[writer_at] = 1;
       printf("writer: version %d is in segment %d\n", written, writer_at);
#ifdef UPLOAD_NOT_FLUSHED
       writer = COMMIT
#else
       writer = FLUSH
#endif
     }
  :: d_step { writer == FLUSH -> flush(); printf("writer: flushes\n"); writer = COMMIT }
  :: d_step { writer == COMMIT ->
       enter(written, writer_at);
       printf("writer: version %d is logged and published\n", written);
       known = written; writer = IDLE;
       if :: writer_at != NOWHERE -> use[writer_at] = FILLED :: else fi;
       writer_at = 0
     }
  od
}

#ifdef CLEAN_UNDER_UPLOAD
#define MAY_CLEAN(i) (use[i] == FILLED || use[i] == TAKEN)
#else
#define MAY_CLEAN(i) (use[i] == FILLED)
#endif

proctype Cleaner() {
end:
  do
  :: atomic { cleaner == IDLE && (MAY_CLEAN(0) || MAY_CLEAN(1)) ->
       if
       :: MAY_CLEAN(0) -> cleaned = 0
       :: MAY_CLEAN(1) -> cleaned = 1
       fi;
       d_step {
         use[cleaned] = CLEANED;
         if
         :: RECORD_AT == cleaned && RECORD == segment[cleaned] ->
              if
              :: use[1 - cleaned] == FREE ->
                   moving_to = 1 - cleaned; use[moving_to] = TAKEN; moved = RECORD; cleaner = COPY;
                   printf("cleaner: version %d in segment %d is live\n", moved, cleaned)
              :: else -> use[cleaned] = FILLED; cleaned = 0
              fi
         :: else ->
              printf("cleaner: nothing in segment %d is live\n", cleaned);
              cleaner = WAIT
         fi
       }
     }
  :: d_step { cleaner == COPY ->
       segment[moving_to] = segment[cleaned]; begun[moving_to] = 1;
       printf("cleaner: copies version %d to segment %d\n", moved, moving_to);
#ifdef MOVE_NOT_FLUSHED
       cleaner = COMMIT
#else
       cleaner = FLUSH
#endif
     }
  :: d_step { cleaner == FLUSH -> flush(); printf("cleaner: flushes\n"); cleaner = COMMIT }
  :: d_step { cleaner == COMMIT ->
       if
#ifdef MOVE_ANYWAY
       :: true ->
#else
       :: RECORD == moved && RECORD_AT == cleaned ->
#endif
            enter(moved, moving_to);
            printf("cleaner: the move of version %d is logged and published\n", moved)
#ifndef MOVE_ANYWAY
       :: else -> printf("cleaner: the key has another value\n")
#endif
       fi;
       use[moving_to] = FILLED; moving_to = 0; moved = 0; cleaner = WAIT
     }
#ifdef FREE_BEFORE_THE_MERGE
  :: d_step { cleaner == WAIT -> cleaner = SETTLE }
#else
  :: d_step { cleaner == WAIT && slot != DIRTY && !merging -> cleaner = SETTLE }
#endif
  :: d_step { cleaner == SETTLE ->
#ifndef MERGE_NOT_FLUSHED
       flush();
#endif
       printf("cleaner: segment %d is free\n", cleaned);
       use[cleaned] = FREE; cleaned = 0; cleaner = IDLE
     }
  od
}

proctype Merger() {
end:
  do
  :: d_step { slot == DIRTY && !merging ->
       merging = 1; merging_version = slot_version; merging_at = slot_at
     }
  :: d_step { merging ->
#ifdef BUCKET_KEEPS_EQUAL
       if
       :: bucket != merging_version -> bucket = merging_version; bucket_at = merging_at
       :: else
       fi;
#else
       bucket = merging_version; bucket_at = merging_at;
#endif
       printf("merger: the bucket has version %d in segment %d\n", bucket, bucket_at);
       if
#ifdef CLEAN_BY_VERSION
       :: slot_version == merging_version -> slot = CLEAN
#else
       :: slot_version == merging_version && slot_at == merging_at -> slot = CLEAN
#endif
       :: else
       fi;
       merging = 0; merging_version = 0; merging_at = 0
     }
  :: d_step { slot == CLEAN -> slot = EMPTY; slot_version = 0; slot_at = 0 }
  /* The log uses the place again; before, the table is written. */
  :: d_step { in_log && slot != DIRTY && !merging ->
       begun[0] = 0; begun[1] = 0;
       free_then[0] = (use[0] == FREE -> 1 : 0); free_then[1] = (use[1] == FREE -> 1 : 0);
       flush(); in_log = 0; log_version = 0; log_at = 0; log_first_at = 0;
       printf("merger: flushes; the log has no record any more\n")
     }
  od
}

/* --- A reader --------------------------------------------------------------------------------- */

bit reading; byte floor;  /* what was known when it began */
byte got; byte got_at;    /* the record; version 0: the slot was empty */
bit found;                /* the record was read */

inline over() { reading = 0; floor = 0; got = 0; got_at = 0; found = 0 }

proctype Reader() {
end:
  do
  :: d_step { !reading ->
       reading = 1; floor = known;
       if
       :: slot != EMPTY ->
            got = slot_version; got_at = slot_at; found = 1;
            printf("reader: the slot has version %d in segment %d\n", got, got_at)
       :: else -> printf("reader: the slot is empty\n")
       fi
     }
  :: d_step { reading && !found ->
       got = bucket; got_at = bucket_at; found = 1;
       printf("reader: the bucket has version %d in segment %d\n", got, got_at)
     }
  :: d_step { found ->
       printf("reader: finds version %d there\n", VALUE(got, got_at));
       assert(got >= floor);
#ifdef NO_VERSION_IN_PARTS
       assert(VALUE(got, got_at) == got);
#else
       assert(VALUE(got, got_at) == got || RECORD != got || RECORD_AT != got_at);
#endif
       over()
     }
  od
}

/* --- Power cuts ------------------------------------------------------------------------------- */

#ifdef FREE_IS_BELIEVED
#define STILL_FREE(i) (free_then[i])
#else
#define STILL_FREE(i) (free_then[i] && !begun[i])
#endif

inline by_the_table() {
  use[0] = (STILL_FREE(0) -> FREE : FILLED); use[1] = (STILL_FREE(1) -> FREE : FILLED)
}
inline after_cut() {
#ifdef FIRST_OF_EQUALS
  log_at = log_first_at;
#endif
  slot = DIRTY; slot_version = log_version; slot_at = log_at;
  printf("power: is cut\n")
}

proctype Power() {
end:
  do
  :: atomic { cuts < CUTS ->
       cuts++;
       if :: true :: segment[0] = segment_kept[0]; begun[0] = begun_kept[0] fi;
       if :: true :: segment[1] = segment_kept[1]; begun[1] = begun_kept[1] fi;
       if :: true :: bucket = bucket_kept; bucket_at = bucket_kept_at fi;
       slot = EMPTY; slot_version = 0; slot_at = 0;
       if
       :: in_log -> after_cut()
       :: in_log ->
            in_log = 0; by_the_table(); known = bucket;
            printf("power: is cut, and the log is lost\n")
       :: else -> printf("power: is cut\n")
       fi;
       d_step {
         log_version = (in_log -> log_version : 0); log_at = (in_log -> log_at : 0);
         log_first_at = (in_log -> log_first_at : 0);
         flush(); over();
         writer = IDLE; writer_at = 0;
         cleaner = IDLE; cleaned = 0; moving_to = 0; moved = 0;
         merging = 0; merging_version = 0; merging_at = 0;
         if :: use[0] != FREE -> use[0] = FILLED :: else fi;
         if :: use[1] != FREE -> use[1] = FILLED :: else fi;
         printf("power: the restart finds version %d in segment %d, which has %d\n", RECORD,
                RECORD_AT, VALUE(RECORD, RECORD_AT));
         assert(RECORD >= known);
         assert(VALUE(RECORD, RECORD_AT) == RECORD)
       }
     }
  od
}

init {
  atomic {
    segment[0] = 1; segment_kept[0] = 1; use[0] = FILLED; use[1] = FREE; free_then[1] = 1;
    run Writer(); run Cleaner(); run Merger(); run Reader(); run Power()
  }
}
