/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The network configuration in the runtime's folder: a copy of a template, put there when this node can
 * start pods, put back when somebody takes it away or changes it, and left when the agent ends. As long as
 * it is not there, the runtime says that there is no network, and nobody starts a pod too early. What other
 * networks have in that folder is named, never touched.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/problems.h"
#include "lib/wait.h"

struct conflist {
	const char *file,
		*template; /* borrowed. file "": the runtime's folder is not our business */
	struct wait wait;
	int watch; /* tells of changes in the folder; -1: nobody does, looks come now and then */
	bool is_there, was_there;
	bool stirred;	   /* something happened since the last look */
	int64_t again_ms;  /* boot time of the next look; 0: when something happens */
	int64_t put_ms[3]; /* when it was put back, the last times */
	struct problems problems;
};

int conflist_open(struct conflist *c, const char *file, const char *template, struct err *e);
void conflist_close(struct conflist *c); /* takes a zeroed one */

/* Readable: call conflist_take(). true: something happened in the folder, look again. */
int conflist_fd(const struct conflist *c);
bool conflist_take(struct conflist *c);

/* Makes it so. may_begin: pods can be started here; once it was there, it is put back whatever
 * that says. look: also when nothing happened; else the problems stay as they are. Returns after how many
 * ms to call again, 0: when something happens. */
int64_t conflist_sync(struct conflist *c, bool may_begin, bool look, int64_t now_ms);

/* Not wanted, or there. */
bool conflist_is_fine(const struct conflist *c);
