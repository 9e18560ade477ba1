/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The probes of a conformance run, and talking with all of them at once. Work is given as an array of
 * calls and is over when each call has an answer or will never get one: there is a deadline for
 * each, and a probe that misses one, ends, or says what is no answer is given up, with a sentence
 * that says why. What a probe says is bounded here and judged by cli/conform/facts.h.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/conform/report.h"
#include "cli/line.h"
#include "lib/err.h"
#include "lib/exec.h"
#include "lib/text.h"
#include "lib/wait.h"

#define CONFORM_WINDOW 32 /* calls under way at one probe, at most */

enum conform_result {
	CONFORM_WAITING,
	CONFORM_ANSWERED,
	CONFORM_REFUSED, /* the probe could not do it */
	CONFORM_LOST,	 /* the probe is gone, or the run was interrupted */
};

struct conform_call {
	size_t probe;	 /* index of the probe */
	json_t *request; /* with "op", without "id"; owned */
	int timeout_ms;
	enum conform_result result;
	json_t *answer;	   /* when ANSWERED; owned */
	char problem[600]; /* when REFUSED or LOST */
	uint64_t id;
	int64_t end_ms;
};

struct conform_calls {
	struct conform_call *list;
	size_t n, room;
};
/* One more call, on the heap; request is taken over. */
struct conform_call *conform_calls_add(
	struct conform_calls *c, size_t probe, json_t *request, int timeout_ms);
/* Why there is nothing to judge: its problem, or e when its answer could not be read. */
const char *conform_call_why(const struct conform_call *c, const struct err *e);
void conform_calls_done(struct conform_calls *c);
#define CLEANUP_CONFORM_CALLS __attribute__((cleanup(conform_calls_done)))

struct conform_probe {
	const struct wait *wait; /* of all of them */
	size_t index;
	char name[64]; /* for sentences */
	struct exec_child child;
	struct line line; /* what it says */
	struct text out;  /* what it is not told yet */
	bool out_waits;	  /* for room in its stdin */
	struct text said; /* the end of its stderr */
	struct conform_call *flying[CONFORM_WINDOW];
	size_t n_flying, cursor;
	bool gone;
	char problem[600]; /* why */
};

struct conform_probes {
	struct conform_probe *list;
	size_t n;
	struct wait wait;
	int signals; /* signalfd: SIGINT, SIGTERM, SIGHUP */
	uint64_t next_id, first_id;
	bool interrupted;
	struct conform_progress *progress;
};
#define CONFORM_PROBES_CLOSED                                                                      \
	{                                                                                          \
		.wait = WAIT_CLOSED, .signals = -1                                                 \
	}

int conform_probes_open(
	struct conform_probes *c, size_t n, struct conform_progress *progress, struct err *e);
/* Starts probe i. It may be gone at once. */
void conform_probes_start(
	struct conform_probes *c, size_t i, const char *name, const char *const *arguments);

/* Runs the calls; window: how many at once at each probe. what is for the progress. -EINTR: a
 * signal came; calls without answer are LOST. */
int conform_probes_run(struct conform_probes *probes, struct conform_calls *calls, size_t window,
	const char *what);
/* Lets time pass. -EINTR */
int conform_probes_pause(struct conform_probes *probes, int ms);

/* All probes are told to end and get the time for it; *what they refuse is in calls. Not stopped
 * by a signal that came before, only by another one. */
void conform_probes_end(struct conform_probes *c, struct conform_calls *calls);
void conform_probes_close(struct conform_probes *c); /* takes CONFORM_PROBES_CLOSED */
