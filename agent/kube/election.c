/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The holder renews its Lease every quarter of its time; who does not hold it looks every half, at a
 * moment of its own, so that a cluster of thousands asks the API server a few times a second at most.
 * A Lease that has stood unchanged before our eyes for its whole time is free. It is taken by a
 * replacement that names the version that was seen: of several the API server lets one through.
 *
 * The holder counts its time from before it asked, the others from after they saw, and it stops a
 * quarter earlier: so clocks of different speed do not matter, and those that show different times
 * do not either.
 */
#include "agent/kube/election.h"

#include <stdio.h>
#include <string.h>

#include "lib/boot.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/text.h"

#define MS 1000
#define RETRY_MS 10000

void election_init(struct election *l, const char *name, const char *me)
{
	*l = (struct election){.duration_ms = ELECTION_S * MS};
	(void)text_copy(l->name, sizeof(l->name), name);
	(void)text_copy(l->me, sizeof(l->me), me);
}

bool election_is_won(const struct election *l, int64_t now_ms)
{
	return now_ms < l->until_ms;
}

/* Between 0 and a quarter of the Lease's time, the same for one agent always. */
static int64_t own_moment(const struct election *l)
{
	struct hash h = hash_of(l->me, strlen(l->me));
	return (int64_t)(h.bytes[0] | h.bytes[1] << 8) * (ELECTION_S * MS / 4) / 65536;
}

static bool is_mine(const struct election *l)
{
	return strcmp(l->holder, l->me) == 0;
}

static bool is_free(const struct election *l, int64_t now_ms)
{
	return l->known && (!*l->holder || is_mine(l) || now_ms - l->seen_ms >= l->duration_ms);
}

enum election_verb election_next(struct election *l, int64_t now_ms)
{
	if (l->asked_ms || now_ms < l->next_ms)
		return ELECTION_WAIT;
	if (!is_free(l, now_ms))
		l->asked = ELECTION_LOOK;
	else
		l->asked = *l->version ? ELECTION_REPLACE : ELECTION_CREATE;
	l->asked_ms = now_ms;
	return l->asked;
}

static json_t *format_lease(
	const struct election *l, const char *holder, int duration_s, int64_t wall_s)
{
	char now[BOOT_TIME_TEXT], moment[40];
	boot_format_time(wall_s, now);
	(void)snprintf(moment, sizeof(moment), "%.19s.000000Z", now); /* a MicroTime */
	bool stays = is_mine(l) && *l->acquired;
	json_int_t transitions = l->transitions + (*l->version && !is_mine(l));
	json_t *lease = json_pack("{s:s, s:s, s:{s:s}, s:{s:s, s:i, s:s, s:s, s:I}}", "apiVersion",
		"coordination.k8s.io/v1", "kind", "Lease", "metadata", "name", l->name, "spec",
		"holderIdentity", holder, "leaseDurationSeconds", duration_s, "acquireTime",
		stays ? l->acquired : moment, "renewTime", moment, "leaseTransitions", transitions);
	if (*l->version)
		json_put(json_object_get(lease, "metadata"), "resourceVersion",
			json_string(l->version));
	return lease;
}

json_t *election_object(const struct election *l, int64_t wall_s)
{
	return format_lease(l, l->me, (int)ELECTION_S, wall_s);
}

json_t *election_leave(struct election *l, int64_t now_ms, int64_t wall_s)
{
	if (!election_is_won(l, now_ms))
		return NULL;
	l->until_ms = 0;
	l->next_ms = INT64_MAX;
	return format_lease(l, "", 1, wall_s);
}

static void copy_text(const json_t *object, const char *key, char *out, size_t size)
{
	(void)text_clean(out, size, json_text_at(object, key));
}

static void see(struct election *l, const json_t *object, int64_t now_ms)
{
	const json_t *spec = json_object_get(object, "spec");
	char version[sizeof(l->version)];
	copy_text(json_object_get(object, "metadata"), "resourceVersion", version, sizeof(version));
	if (!l->known || strcmp(version, l->version) != 0)
		l->seen_ms = now_ms;
	l->known = true;
	(void)text_copy(l->version, sizeof(l->version), version);
	copy_text(spec, "holderIdentity", l->holder, sizeof(l->holder));
	copy_text(spec, "acquireTime", l->acquired, sizeof(l->acquired));
	json_int_t seconds = json_integer_value(json_object_get(spec, "leaseDurationSeconds"));
	l->duration_ms = (seconds > 0 && seconds < 86400 ? seconds : ELECTION_S) * MS;
	l->transitions = json_integer_value(json_object_get(spec, "leaseTransitions"));
}

static void see_nothing(struct election *l)
{
	l->known = true;
	l->version[0] = l->holder[0] = l->acquired[0] = '\0';
	l->transitions = 0;
}

void election_answer(struct election *l, int status, const json_t *object, int64_t now_ms)
{
	int64_t asked_ms = l->asked_ms;
	bool wrote = l->asked == ELECTION_CREATE || l->asked == ELECTION_REPLACE;
	l->asked_ms = 0;
	if (status == 404 || status == 409) { /* it is not as it was seen */
		see_nothing(l);
		l->known = status == 404;
		l->until_ms = 0;
		l->next_ms = status == 404 && !wrote ? now_ms : now_ms + own_moment(l) / 8;
		return;
	}
	if (status < 200 || status > 299 || !json_is_object(object)) {
		l->known = false; /* a write may have been carried out: look first */
		l->next_ms = now_ms + RETRY_MS + own_moment(l) / 4;
		return;
	}
	see(l, object, now_ms);
	if (wrote && is_mine(l)) {
		l->until_ms = asked_ms + ELECTION_S * MS * 3 / 4;
		l->next_ms = asked_ms + ELECTION_S * MS / 4;
	} else {
		l->until_ms = 0;
		l->next_ms =
			is_free(l, now_ms) ? now_ms : now_ms + l->duration_ms / 2 + own_moment(l);
	}
}
