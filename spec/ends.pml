/* Records that end: one key, its server and clients that judge by the store time (rule 17).
 *
 * Run it by ./check; README.md has the results. The number of the rule is that of
 * docs/architecture.md, its parts those of docs/protocol.md.
 *
 * WHAT IS PROMISED
 *
 *   - Who begins a GET after somebody was told that a version has ended does not get that version;
 *     and no change of its end is published any more (`heard`).
 *   - A GET that says that there is no record ran while the record that was published had ended
 *     (`gone`).
 *
 * WHAT IS IN THE MODEL
 *
 *   - The store time, in ticks; the mark, in three steps: a batch that says it is closed, is
 *     durable, is known to be. Power cuts at any moment, and a restart with any wall clock.
 *   - Puts, and changes of the end, which depend on a record that lives: the look, the record's
 *     entry in the log, its durability, its publication, with anything in between.
 *   - A merge that leaves out what has ended.
 *   - Clients. Each counts what passes since its last question by a clock of its own, with a
 *     margin: by 1 or 2 a tick. By that bound it decides that a record lives; that it has ended, by
 *     what it was told; else it asks. A question is answered with the time at any moment while it
 *     is under way; not before a change is published that was made from what has ended by then.
 *
 * WHAT IS ABSTRACTED, AND WHY THAT HIDES NO ERROR
 *
 *   - Reads are of what was published last: protocol.pml has what makes them so.
 *   - A restart ends all connections at once: rule 9. A GET that was under way, or that reads
 *     again, counts as a new one. It has less room, so the property checked is the stronger one.
 *   - A hello that tells the time is a question and its answer.
 *   - The slewing of the store time is in the error of the clients' clocks.
 *
 * Mutants are as in protocol.pml.
 */

#ifndef TIMES
#define TIMES 3     /* the last tick */
#endif
#ifndef WRITES
#define WRITES 1    /* puts and changes of the end, after version 1 */
#endif
#ifndef RESTARTS
#define RESTARTS 1
#endif
#ifndef AHEAD
#define AHEAD 1     /* of the time: the mark */
#endif
#define CLIENTS 2
#define FIRST_END 2 /* of version 1 */
#define NO_END 0
#define ENDED(end, t) ((end) != NO_END && (end) <= (t))

/* --- What a power cut leaves ------------------------------------------------------------------ */

byte mark = 1;       /* up to when the time may have been told */
byte version = 1;    /* of the record that is published, or will be by a restart */
byte ends = FIRST_END;
bit dropped;         /* a merge has left it out */

/* --- The server ------------------------------------------------------------------------------- */

#define IDLE      0
#define LOOKING   1
#define MAKING    2
#define APPENDED  3
#define DURABLE   4

byte time = 1;       /* the store time */
byte may_tell = 1;   /* up to when it may be told: the mark is known to be durable */
byte batch;          /* the mark of a batch that is being written; 0: none */
byte phase = IDLE;   /* of a write */
bit conditional;     /* it is a change of the end */
byte seen_end;       /* of what it saw */
byte new_end;
byte logged;         /* versions so far, but for the first */
byte restarts;

/* --- The clients ------------------------------------------------------------------------------ */

#define RESTING   0
#define READING   1
#define JUDGING   2
#define ASKING    3
#define ANSWERED  4    /* with a time; it is told when it may be */
#define TOLD      5

typedef Client {
  byte at;
  byte least;        /* that the time is; 0: it does not know */
  byte most;         /* that it is; while it asks: of ticks since it began to ask */
  byte began;        /* `least` when the read began */
  byte version; byte end;  /* what was read; version 0: nothing */
  bit gone;          /* for the property: while this GET ran, the record had ended */
  byte heard         /* for the property: `heard` when it began */
};
Client c[CLIENTS];
byte heard;          /* for the property: the last version that somebody was told had ended */

byte h;              /* scratch within a step */

/* --- Mutants: the switches -------------------------------------------------------------------- */

#ifdef TELL_UNMARKED
#define MAY_TELL 1
#else
#define MAY_TELL (time <= may_tell)
#endif
/* A change is logged, and not published, of a record that has ended at time t. */
#ifdef TELL_BEFORE_PUBLISH
#define UNDER_WAY(t) 0
#else
#define UNDER_WAY(t) ((phase == APPENDED || phase == DURABLE) && conditional && ENDED(seen_end, t))
#endif
#ifdef DROP_BY_CLOCK
#define PASSED time
#else
#define PASSED (time <= may_tell -> time : may_tell)
#endif

/* --- The server ------------------------------------------------------------------------------- */

inline note_gone() {
  for (h : 0 .. CLIENTS-1) {
    c[h].gone = c[h].gone || (c[h].at != RESTING && ENDED(ends, time))
  }
  h = 0
}
inline told_ended() { if :: heard < version -> heard = version :: else fi }

inline publish() {
  assert(!conditional || heard < version);
  seen_end = 0;
  version++; ends = new_end; dropped = 0;
  phase = IDLE; conditional = 0; new_end = 0;
  printf("server: version %d, with the end %d, is published\n", version, ends);
  note_gone()
}

/* The store time of a server that starts, with any wall clock. */
inline start() {
  select(h : 1 .. TIMES);
#ifdef NO_MARK
  time = h;
#else
  time = (h > mark -> h : mark);
#endif
  printf("server: starts again; its wall clock says %d, the mark %d, so it is %d\n", h, mark, time);
  may_tell = mark; h = 0
}

/* Part 2: who asks is told the time of one moment. */
#define answer(i) \
  d_step { c[i].at == ASKING && MAY_TELL -> c[i].at = ANSWERED; c[i].least = time }
#define tell(i) \
  d_step { c[i].at == ANSWERED && !UNDER_WAY(c[i].least) -> \
    c[i].at = TOLD; printf("server: tells client %d that it is %d\n", i, c[i].least) \
  }

proctype Server() {
end:
  do
  /* Part 1: batches with marks. */
  :: d_step { batch == 0 && may_tell < time ->
       batch = time + AHEAD;
       printf("server: closes a batch with the mark %d\n", batch)
     }
#ifdef MARK_BEFORE_DURABLE
  :: d_step { batch != 0 && may_tell < batch -> may_tell = batch }
  :: d_step { batch != 0 && may_tell >= batch ->
       mark = batch; batch = 0; printf("server: the mark %d is durable\n", mark)
     }
#else
  :: d_step { batch != 0 && mark != batch ->
       mark = batch; printf("server: the mark %d is durable\n", mark)
     }
  :: d_step { batch != 0 && mark == batch -> may_tell = batch; batch = 0 }
#endif

  :: answer(0)
  :: answer(1)
  :: tell(0)
  :: tell(1)

  /* Part 4: a put, or a change of the end of a record that lives. */
  :: atomic { phase == IDLE && logged < WRITES ->
       select(new_end : 1 .. TIMES + 1);
       new_end = (new_end > TIMES -> NO_END : new_end);
       if
       :: conditional = 1; phase = LOOKING
       :: phase = MAKING
       fi
     }
  :: d_step { phase == LOOKING && MAY_TELL ->
       if
       :: dropped || ENDED(ends, time) ->
            printf("server: no end to change: version %d has ended\n", version);
            told_ended();
            phase = IDLE; conditional = 0; new_end = 0
       :: else -> seen_end = ends; phase = MAKING
       fi
     }
  :: d_step { phase == MAKING ->
       if
#ifndef NO_SECOND_LOOK
       :: conditional && ENDED(seen_end, time) -> seen_end = 0; phase = LOOKING
#endif
       :: else ->
            assert(!conditional || heard < version);
            logged++; phase = APPENDED;
            printf("server: version %d, with the end %d, enters the log\n", version + 1, new_end)
       fi
     }
  :: d_step { phase == APPENDED -> phase = DURABLE }
  :: d_step { phase == DURABLE -> publish() }

  /* Part 5. */
  :: d_step { !dropped && phase == IDLE && ENDED(ends, PASSED) ->
       dropped = 1; printf("server: a merge leaves version %d out\n", version)
     }
  od
}

/* A tick, by a client's clock. What is more than the last tick is no different. */
#define KNOWS(i) (c[i].at < ASKING && c[i].least != 0)
#define MORE(x) d_step { if :: x < TIMES -> x++ :: else fi }
inline pass(i) {
  if
  :: KNOWS(i) || c[i].at >= ASKING ->
#ifndef NO_MARGIN_ABOVE
       MORE(c[i].most);
#endif
       if :: true :: c[i].most < TIMES -> c[i].most++ fi
  :: else
  fi;
  if
#ifdef JUDGE_BY_CLOCK
  :: KNOWS(i) ->
       if :: true :: c[i].least < TIMES -> c[i].least++ fi
#endif
  :: else
  fi
}

proctype World() {
end:
  do
  :: atomic { time < TIMES ->
       d_step { time++; printf("world: it is %d\n", time); note_gone() };
       pass(0); pass(1)
     }
  :: atomic { restarts < RESTARTS ->
       restarts++;
       printf("world: the power is cut\n");
       d_step {
         if
         :: phase == DURABLE -> publish()
         :: else -> phase = IDLE; conditional = 0; seen_end = 0; new_end = 0; logged = version - 1
         fi;
         batch = 0;
         for (h : 0 .. CLIENTS-1) {
#ifdef OLD_ESTIMATE
           if :: c[h].at >= ASKING -> c[h].least = 0; c[h].most = 0 :: else fi;
#else
           c[h].least = 0; c[h].most = 0;
#endif
           c[h].at = RESTING; c[h].began = 0; c[h].version = 0; c[h].end = 0; c[h].gone = 0;
           c[h].heard = 0
         }
         h = 0
       };
       start()
     }
  od
}

/* --- A client: GETs for ever ------------------------------------------------------------------ */

inline begin_read() {
  c[me].at = READING; c[me].heard = heard; c[me].gone = ENDED(ends, time);
  c[me].began = c[me].least;
  c[me].version = 0; c[me].end = 0;
  printf("client %d: GET begins; it is %d at least\n", me, c[me].began)
}
inline over() {
  c[me].at = RESTING; c[me].began = 0; c[me].version = 0; c[me].end = 0; c[me].gone = 0;
  c[me].heard = 0
}
inline returns() {
  printf("client %d: GET returns version %d\n", me, c[me].version);
  assert(c[me].heard < c[me].version);
  over()
}
inline absent() {
  printf("client %d: GET says that there is no record\n", me);
  assert(c[me].gone);
  if :: heard < c[me].version -> heard = c[me].version :: else fi;
  over()
}

inline ask() {
  c[me].at = ASKING; c[me].least = 0; c[me].most = 0; c[me].began = 0;
  printf("client %d: asks for the time\n", me)
}
inline judge() {
  if
  :: c[me].least < c[me].end -> returns()
#ifdef NO_READ_AGAIN
  :: else -> absent()
#else
  :: else -> begin_read()  /* part 3 */
#endif
  fi
}

proctype Reader(byte me) {
end:
  do
  :: d_step { c[me].at == RESTING -> begin_read() }
  :: d_step { c[me].at == READING ->
       if
       :: dropped -> told_ended(); absent()
       :: else ->
            c[me].at = JUDGING; c[me].version = version; c[me].end = ends;
            printf("client %d: reads version %d, with the end %d\n", me, version, ends)
       fi
     }
  :: d_step { c[me].at == JUDGING ->
       if
       :: c[me].end == NO_END || c[me].least != 0 && c[me].end > c[me].most -> returns()
       :: else ->
            if
            :: c[me].end <= c[me].began -> absent()
            :: else ->
#ifdef NO_ASK
                 if
                 :: c[me].least != 0 -> judge()
                 :: else -> ask()
                 fi
#else
                 ask()
#endif
            fi
       fi
     }
  :: d_step { c[me].at == TOLD ->
#ifdef MOST_FROM_ANSWER
       c[me].most = c[me].least;
#else
       c[me].most = c[me].most + c[me].least;
       if :: c[me].most > TIMES -> c[me].most = TIMES :: else fi;
#endif
       judge()
     }
  od
}
init { atomic { run Server(); run World(); run Reader(0); run Reader(1) } }
