/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How commands get at the node state (ipam/session.h): under a deadline, guarded against a damaged
 * file, with one sentence for "there is no state". The namespace is the caller's own.
 */
#include <stdbool.h>

#include <jansson.h>

#include "cli/config.h"
#include "cli/options.h"
#include "ipam/node.h"
#include "lib/err.h"

/* A command of one state folder, o->state_dir. With -o json it gives its document instead of printing. */
typedef int state_command(const struct options *o, json_t **doc);

/* Runs it in each folder: their texts have the folder as a heading when there are several, their documents
 * become one, in which each object of the lists has its "stateDir". Returns the worst exit status. */
int state_each(const struct options *o, state_command *run);
void state_join(json_t **all, json_t *one, const char *dir); /* takes one over; *all may be NULL */

/* Everything in the state as of now; *out is empty when there is none of this boot (returns 0 and
 * says so on stderr; with a state 1). Free it with node_view_done(). */
int state_read(const char *dir, struct node_view *out, struct err *e);

/* Opens the state alone, so that no ADD or DEL is in flight. 0: there is none, said on stderr. With
 * heal a damaged state is set aside and rebuilt from the kernel, without it that is an error. End
 * it with state_close(). */
int state_open(const char *dir, bool heal, struct node **out, struct err *e);
void state_close(struct node *n); /* takes NULL */
