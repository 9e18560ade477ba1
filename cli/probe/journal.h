/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a probe has added and not yet deleted, on file, so that after a SIGKILL the next probe can
 * run the DELs: one folder a probe under STATE_DIR/probe, locked as long as the probe lives, in it
 * one document a pod. There is no folder while there is no pod.
 */
#include <jansson.h>
#include <stddef.h>

#include "lib/err.h"

struct probe_journal;

/* "roost-probe-BOOT-PID-START" of this process; the container ids of its pods begin with it. */
#define PROBE_JOURNAL_ID 64
int probe_journal_id(char out[PROBE_JOURNAL_ID], struct err *e);

/* Makes this probe's. */
int probe_journal_open(
	const char *state_dir, const char *id, struct probe_journal **out, struct err *e);
void probe_journal_close(struct probe_journal *j); /* removes it when it is empty; takes NULL */

/* The document of a pod: before it is added, and again as more is known. */
int probe_journal_put(struct probe_journal *j, const char *name, const json_t *doc, struct err *e);
void probe_journal_drop(struct probe_journal *j, const char *name);

/* Ids of all journals there are, a heap array of heap texts. None is fine. */
int probe_journal_list(const char *state_dir, char ***out, size_t *n, struct err *e);

/* Takes over the journal of a dead probe: 1, with the documents of its pods by name in *pods
 * (an object, the caller's). 0: its probe lives, or it is gone. */
int probe_journal_take(const char *state_dir, const char *id, struct probe_journal **out,
	json_t **pods, struct err *e);
