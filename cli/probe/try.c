/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attempts to reach somebody, many at once. Each is a socket in the set of the loop and two
 * moments: when it sends again, and when it is over. What ends one is marked and reaped later, when
 * nobody holds a pointer to it.
 *
 * EMSGSIZE and ECONNREFUSED are answers: no other attempt would fare better. Other errors
 * (a neighbour that did not answer yet, a route that is not there yet) are remembered, and sending
 * goes on. When time is up the socket is read once more, as the answer may have come while a plugin
 * ran.
 */
#include "cli/probe/try.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "cli/probe/socket.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define TRIES_AT_ONCE 512
#define MS 1000000u

void probe_try_answered(struct probe_try *t, uint32_t seq, const struct addr *seen)
{
	uint64_t sent = t->sent_ns[seq < PROBE_TRIES_MAX ? seq : 0];
	t->answered = true;
	t->done = true;
	t->error = 0;
	t->rtt_ns = boot_now_ns() - sent;
	if (seen)
		t->seen = *seen;
}

void probe_try_failed(struct probe_try *t, int error, uint32_t mtu, const struct addr *from)
{
	t->error = error;
	if (error == EMSGSIZE)
		t->path_mtu = mtu ? mtu : probe_socket_path_mtu(t->watch.fd, t->to.family);
	if (from && from->family)
		t->icmp_from = *from;
	t->done |= error == EMSGSIZE || error == ECONNREFUSED;
}

/* ---- Ends ---- */

static json_t *try_describe(const struct probe_try *t)
{
	json_t *o = json_object();
	char text[ADDR_TEXT];
	json_put(o, "answered", json_boolean(t->answered));
	json_put(o, "sent", json_integer(t->sent));
	json_put(o, "size", json_of_number(t->size));
	json_put(o, "nonce", json_of_text(t->nonce));
	if (t->answered)
		json_put(o, "rttUs", json_of_number(t->rtt_ns / 1000));
	if (t->seen.family) {
		addr_format(&t->seen, text);
		json_put(o, "source", json_of_text(text));
	}
	if (t->error) {
		const char *name = strerrorname_np(t->error);
		json_put(o, "error", json_of_text(name ? name : "EPROTO"));
	}
	if (t->path_mtu)
		json_put(o, "pathMtu", json_integer(t->path_mtu));
	if (t->mss)
		json_put(o, "mss", json_integer(t->mss));
	if (t->icmp_from.family) {
		addr_format(&t->icmp_from, text);
		json_put(o, "icmpFrom", json_of_text(text));
	}
	return o;
}

static void free_try(struct probe_try *t)
{
	probe_watch_close(&t->watch);
	free(t->text);
	free(t);
}

static void try_reap(struct probe *p)
{
	for (struct probe_try **at = &p->tries; *at;) {
		struct probe_try *t = *at;
		if (!t->done) {
			at = &t->next;
			continue;
		}
		*at = t->next;
		p->n_tries--;
		probe_answer(p, t->id, try_describe(t));
		free_try(t);
	}
}

static void on_try(struct probe *p, struct probe_watch *w, uint32_t events)
{
	(void)events;
	struct probe_try *t = w->owner;
	t->kind->receive(t);
	try_reap(p);
}

/* ---- Time ---- */

static void send_again(struct probe_try *t, uint64_t now)
{
	t->sent_ns[t->sent] = now;
	t->kind->send(t);
	t->sent++;
	bool more = t->kind->resends && t->sent < t->tries;
	t->next_ns = more ? now + t->interval_ns : UINT64_MAX;
}

uint64_t probe_try_next(const struct probe *p)
{
	uint64_t next = UINT64_MAX;
	for (const struct probe_try *t = p->tries; t; t = t->next) {
		next = t->next_ns < next ? t->next_ns : next;
		next = t->end_ns < next ? t->end_ns : next;
	}
	return next;
}

void probe_try_tick(struct probe *p, uint64_t now_ns)
{
	for (struct probe_try *t = p->tries; t; t = t->next) {
		if (t->end_ns <= now_ns) {
			t->kind->receive(t);
			t->done = true;
		} else if (t->next_ns <= now_ns && !t->done) {
			send_again(t, now_ns);
		}
	}
	try_reap(p);
}

void probe_try_stop(struct probe *p, const struct probe_pod *from)
{
	for (struct probe_try *t = p->tries; t; t = t->next) {
		if (t->from != from)
			continue;
		t->error = t->done ? t->error : ECANCELED;
		t->done = true;
	}
	try_reap(p);
}

void probe_tries_done(struct probe *p)
{
	while (p->tries) {
		struct probe_try *t = p->tries;
		p->tries = t->next;
		free_try(t);
	}
	p->n_tries = 0;
}

/* ---- Requests ---- */

static int try_take_kind(struct probe_try *t, const struct probe_request *call, struct err *e)
{
	static const struct probe_try_kind *const kinds[] = {
		&probe_try_icmp, &probe_try_udp, &probe_try_tcp};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i]->name, call->kind) == 0)
			t->kind = kinds[i];
	if (!t->kind)
		return err_set(e, EINVAL, "\"kind\" is not icmp, udp or tcp");
	if (t->kind->has_port && !call->port)
		return err_set(e, EINVAL, "\"port\" is missing");
	if (!call->to.family)
		return err_set(e, EINVAL, "\"to\" is missing");
	if (call->source.family && t->kind != &probe_try_udp)
		return err_set(e, EINVAL, "\"source\" is for udp alone");
	if (call->source.family && call->source.family != call->to.family)
		return err_set(e, EINVAL, "\"source\" and \"to\" are of different families");
	return 0;
}

static int try_take(struct probe_try *t, const struct probe_request *call, struct err *e)
{
	int r = try_take_kind(t, call, e);
	if (r < 0)
		return r;
	uint64_t random[2] = {0}, timeout_ns = (uint64_t)call->timeout_ms * MS;
	(void)!getrandom(random, sizeof(random), 0);
	t->echo_id = (uint16_t)random[0];
	(void)snprintf(t->nonce, sizeof(t->nonce), "n%016llx", (unsigned long long)random[1]);
	if (call->nonce)
		(void)text_copy(t->nonce, sizeof(t->nonce), call->nonce);
	t->to = call->to;
	t->source = call->source;
	t->port = call->port;
	t->size = call->size;
	t->df = call->df;
	t->has_df = call->has_df;
	t->tries = t->kind->resends ? (int)call->tries : 1;
	t->interval_ns = timeout_ns / (uint64_t)t->tries;
	t->end_ns = boot_now_ns() + timeout_ns;
	return 0;
}

int probe_try_start(struct probe *p, const struct probe_request *call, struct err *e)
{
	struct probe_pod *from = NULL;
	if (p->n_tries == TRIES_AT_ONCE)
		return err_set(e, EAGAIN, "%d tries are under way already", TRIES_AT_ONCE);
	struct probe_try *t = mem_new(1, sizeof(*t));
	t->watch = (struct probe_watch){.fd = -1, .on = on_try, .owner = t};
	t->probe = p;
	t->id = call->id;
	int r = try_take(t, call, e);
	if (r >= 0)
		r = probe_place(p, call->place, &from, e);
	t->from = from;
	if (r >= 0)
		r = t->kind->open(t, from ? &from->ns : NULL, e);
	if (r >= 0)
		r = probe_watch_add(p, &t->watch, t->kind->events, e);
	if (r < 0) {
		free_try(t);
		return r;
	}
	t->next = p->tries;
	p->tries = t;
	p->n_tries++;
	send_again(t, boot_now_ns());
	try_reap(p);
	return 1;
}
