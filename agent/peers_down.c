/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's counter of wrong TCP MD5 signatures is read only while a session is down, and counts as
 * growing for a minute: reconciliations may follow each other closer than segments do.
 */
#include "agent/peers_down.h"

#include <stdlib.h>
#include <string.h>

#include "agent/kernel/md5.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define MD5_MS 60000

void peers_down_done(struct peers_down *p)
{
	free(p->all);
	*p = (struct peers_down){0};
}

static bool grows_md5(struct peers_down *p, int64_t now_ms)
{
	uint64_t count = md5_read_count();
	if (p->md5_known && count > p->md5_count)
		p->md5_grew_ms = now_ms;
	p->md5_known = true;
	p->md5_count = count;
	return p->md5_grew_ms && now_ms - p->md5_grew_ms < MD5_MS;
}

void peers_down_show(struct peers_down *p, const struct bird *b, struct desired_self *self)
{
	struct bird_status status;
	bird_status(b, &status);
	self->now_ms = boot_now_ms();
	self->sessions = bird_sessions_all(b, &self->n_sessions);
	if (!status.up)
		self->n_sessions = 0;
	self->md5_drops = status.up && status.peers_up < status.peers && grows_md5(p, self->now_ms);
}

void peers_down_note(struct peers_down *p, const struct desired *d)
{
	free(p->all);
	p->n = d->n_down;
	p->all = mem_new(d->n_down + 1, sizeof(*p->all));
	memcpy(p->all, d->down, d->n_down * sizeof(*p->all));
}

json_t *peers_down_report(const struct peers_down *p)
{
	json_t *list = json_array();
	for (size_t i = 0; i < p->n; i++) {
		const struct desired_down *d = &p->all[i];
		json_append(list,
			json_pack("{s:s, s:o, s:s, s:s, s:s}", "peer", ADDR_STRING(&d->addr),
				"node", *d->node ? json_string(d->node) : json_null(), "since",
				TIME_STRING(d->since_s), "bird", d->words, "reason", d->why));
	}
	return list;
}

void peers_down_fill(const struct peers_down *p, struct status *s)
{
	for (size_t i = 0; i < p->n && s->n_down < STATUS_DOWN; i++) {
		const struct desired_down *d = &p->all[i];
		struct status_down *out = &s->down[s->n_down++];
		*out = (struct status_down){.peer = d->addr, .since_s = d->since_s};
		(void)text_copy(out->node, sizeof(out->node), d->node);
		(void)text_copy(out->bird, sizeof(out->bird), d->words);
		(void)text_copy(out->reason, sizeof(out->reason), d->why);
	}
}
