/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors, answers and places. What an answer's reader does not take waits in the probe until its pipe has
 * room again; a reader that is gone ends the probe.
 */
#include "cli/probe/loop.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/json.h"
#include "cli/probe/probe_impl.h"
#include "lib/mem.h"

/* ---- Watches ---- */

int probe_watch_add(struct probe *p, struct probe_watch *w, uint32_t events, struct err *e)
{
	return wait_add(&p->wait, w->fd, events, (uint64_t)(uintptr_t)w, e);
}

void probe_watch_change(struct probe *p, struct probe_watch *w, uint32_t events)
{
	wait_change(&p->wait, w->fd, events, (uint64_t)(uintptr_t)w);
}

void probe_watch_close(struct probe_watch *w)
{
	mem_cleanup_fd(&w->fd); /* closing takes it out of the wait */
	w->fd = -1;
}

/* ---- Answers ---- */

void probe_write_answers(struct probe *p)
{
	while (p->answers.len) {
		ssize_t n = write(p->out.fd, p->answers.buf, p->answers.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		p->ending |= n < 0; /* nobody is there any more */
		text_drop(&p->answers, n < 0 ? p->answers.len : (size_t)n);
	}
	bool waits = p->answers.len > 0;
	if (waits != p->out_waits)
		probe_watch_change(p, &p->out, waits ? EPOLLOUT : 0);
	p->out_waits = waits;
}

static void probe_say(struct probe *p, json_int_t id, json_t *doc)
{
	line_answer(id, doc, &p->answers);
	probe_write_answers(p);
}

void probe_answer(struct probe *p, json_int_t id, json_t *doc)
{
	json_put(doc, "ok", json_true());
	probe_say(p, id, doc);
}

void probe_refuse(struct probe *p, json_int_t id, int error, const struct err *e)
{
	probe_say(p, id, line_refusal(error, e));
}

void probe_on_out(struct probe *p, struct probe_watch *w, uint32_t events)
{
	(void)w;
	if (events & (EPOLLERR | EPOLLHUP))
		p->ending = true;
	else
		probe_write_answers(p);
}

/* ---- Places ---- */

struct probe_pod *probe_place_find(const struct probe *p, const char *name)
{
	struct probe_pod *pod = p->pods;
	while (pod && strcmp(pod->name, name) != 0)
		pod = pod->next;
	return pod;
}

int probe_place(const struct probe *p, const char *name, struct probe_pod **out, struct err *e)
{
	char shown[PROBE_NAME];
	struct probe_pod *pod = probe_place_find(p, name);
	(void)json_clean(shown, sizeof(shown), name);
	if (*name && !pod)
		return err_set(e, ENOENT, "there is no pod \"%s\" here", shown);
	*out = pod;
	return 0;
}
