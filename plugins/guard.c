/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call's answers to "I ran out of time" and "the state is damaged" are prepared before they can
 * be needed, as a signal handler cannot format.
 */
#include "plugins/guard.h"

#include <errno.h>

#include "ipam/session.h"
#include "lib/deadline.h"
#include "lib/log.h"

#define ANSWER_BYTES 4096

void guard_deadline(const struct cni_request *r, const struct conf *c, unsigned int seconds)
{
	struct err e;
	(void)err_set(&e, ETIMEDOUT, "gave up while " DEADLINE_DOING);
	if (r->command == CNI_STATUS)
		(void)cni_not_available(-ETIMEDOUT, &e);
	err_details(&e,
		"after %u s; the node state is in %s. Try again: what was begun is undone by DEL "
		"or the next ADD",
		seconds, c->state_dir);
	char answer[ANSWER_BYTES];
	cni_error_format(answer, sizeof(answer), r->version, ETIMEDOUT, &e);
	deadline_answer(answer);
	deadline_doing("starting");
	deadline_start(seconds);
}

static void guard_answer(const struct cni_request *r, const struct conf *c, char out[ANSWER_BYTES])
{
	struct err e;
	(void)err_set(&e, EUCLEAN, "the node state in %s is damaged", c->state_dir);
	err_details(&e, "the next call sets it aside and rebuilds it from the kernel");
	cni_error_format(out, ANSWER_BYTES, r->version, EUCLEAN, &e);
}

int guard_open(const struct cni_request *r, const struct conf *c, enum node_mode mode,
	struct node **out, struct err *e)
{
	char answer[ANSWER_BYTES];
	deadline_doing("waiting for the lock of the node state");
	guard_answer(r, c, answer);
	int result = session_open(out, c->state_dir, mode, answer, e);
	if (result >= 0 && node_set_aside(*out))
		log_error("the node state was damaged: kept as %s, rebuilding from the kernel",
			node_set_aside(*out));
	return result;
}
