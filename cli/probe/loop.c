/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors and answers. What an answer's reader does not take waits in the probe until its pipe has
 * room again; a reader that is gone ends the probe.
 */
#include "cli/probe/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/json.h"
#include "cli/probe/probe_impl.h"
#include "lib/mem.h"

/* ---- Watches ---- */

int probe_watch_add(struct probe *p, struct probe_watch *w, uint32_t events, struct err *e)
{
	struct epoll_event event = {.events = events, .data.ptr = w};
	if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, w->fd, &event) < 0)
		return err_set(e, errno, "cannot wait for a descriptor: %s", strerror(errno));
	return 0;
}

void probe_watch_change(struct probe *p, struct probe_watch *w, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = w};
	(void)epoll_ctl(p->epoll, EPOLL_CTL_MOD, w->fd, &event); /* fails for files alone */
}

void probe_watch_close(struct probe_watch *w)
{
	mem_cleanup_fd(&w->fd); /* closing takes it out of the epoll set */
	w->fd = -1;
}

/* ---- Answers ---- */

void probe_write_answers(struct probe *p)
{
	size_t done = 0;
	while (done < p->answers_len) {
		ssize_t n = write(p->out.fd, p->answers + done, p->answers_len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			p->ending = true; /* nobody is there any more */
			done = p->answers_len;
		}
		if (n < 0)
			break;
		done += (size_t)n;
	}
	if (done)
		memmove(p->answers, p->answers + done, p->answers_len - done);
	p->answers_len -= done;
	bool waits = p->answers_len > 0;
	if (waits != p->out_waits)
		probe_watch_change(p, &p->out, waits ? EPOLLOUT : 0);
	p->out_waits = waits;
}

static void probe_say(struct probe *p, json_int_t id, json_t *doc)
{
	CLEANUP_FREE char *line = line_answer(id, doc);
	size_t len = strlen(line);
	p->answers = mem_grow(p->answers, &p->answers_room, p->answers_len + len, 1);
	memcpy(p->answers + p->answers_len, line, len);
	p->answers_len += len;
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
