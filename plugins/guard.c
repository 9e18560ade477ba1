/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call's answer to "I ran out of time" is prepared before it can be needed, as a signal handler
 * cannot format.
 */
#include "plugins/guard.h"

#include <errno.h>

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

int guard_open(const struct conf *c, enum node_mode mode, struct node **out, struct err *e)
{
	deadline_doing("waiting for the lock of the node state");
	int result = node_open(out, c->state_dir, mode, e);
	if (result >= 0 && node_set_aside(*out))
		log_error("the node state was damaged: kept as %s, rebuilding from the kernel",
			node_set_aside(*out));
	return result;
}

bool guard_is_of_another(int error, const struct err *e, const char *container)
{
	if (error != -EMEDIUMTYPE)
		return false;
	log_warning("the pod ends, and its record stays where it is: %s container=%s", e->text,
		container);
	return true;
}

bool guard_is_unborn(const struct conf *c, int error)
{
	struct node *n = NULL;
	struct err ignored;
	if (error != -ENOSPC && error != -EDQUOT && error != -EROFS)
		return false;
	int r = node_open(&n, c->state_dir, NODE_READ, &ignored);
	node_close(n);
	return r == -ENOENT;
}
