/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the loop of the probe gives to those that run in it: descriptors that are waited for, and
 * answers that go out as fast as their reader takes them.
 */
#include <jansson.h>
#include <stdint.h>

#include "lib/err.h"

struct probe;

/* A descriptor that is waited for. Embedded in what it is about; on() finds that by owner. */
struct probe_watch {
	int fd; /* owned; -1: none */
	void (*on)(struct probe *p, struct probe_watch *w, uint32_t events);
	void *owner;
};
int probe_watch_add(struct probe *p, struct probe_watch *w, uint32_t events, struct err *e);
void probe_watch_change(struct probe *p, struct probe_watch *w, uint32_t events);
void probe_watch_close(struct probe_watch *w); /* takes one with fd -1 */

/* Takes doc over; "ok" is added. */
void probe_answer(struct probe *p, json_int_t id, json_t *doc);
void probe_refuse(struct probe *p, json_int_t id, int error, const struct err *e);
void probe_write_answers(struct probe *p); /* as many as their reader takes */
void probe_on_out(struct probe *p, struct probe_watch *w, uint32_t events);
