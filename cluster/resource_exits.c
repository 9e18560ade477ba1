/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields about exits, of BGPConfiguration and BGPPeer; all of them are ours and not Calico's.
 * A prefix that hosts treat specially is no exit, though a wider one may contain it, as 0.0.0.0/0
 * does. An entry of exits without a selector would make exits of all nodes, so that nobody would use any:
 * it has to be said.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cluster/resource_impl.h"
#include "ipam/pool.h"
#include "lib/mem.h"

#define SPECIAL_LEN 8 /* prefixes that are wider are never special as a whole */

static int read_cidr(const struct fields *f, const char *key, const char *text,
	const struct cidr *before, size_t n, struct cidr *out)
{
	int r = fields_parse_prefix(f, key, text, 0, out);
	if (r < 0)
		return r;
	const char *what = out->len >= SPECIAL_LEN ? pool_special(out) : NULL;
	if (what)
		return fields_refuse(f, key, EINVAL, "is %.60s, which contains %s", text, what);
	for (size_t i = 0; i < n; i++)
		if (cidr_equal(&before[i], out))
			return fields_refuse(
				f, key, EINVAL, "is %.60s, which is there twice", text);
	return 0;
}

int resource_read_exit_cidrs(
	const struct fields *f, const char *key, struct cidr out[RESOURCE_EXIT_CIDRS], size_t *n)
{
	json_t *list = NULL;
	int r = fields_array(f, key, RESOURCE_EXIT_CIDRS, &list);
	for (size_t i = 0; r >= 0 && i < json_array_size(list); i++) {
		const char *text = NULL;
		char place[64];
		(void)snprintf(place, sizeof(place), "%s[%zu]", key, i);
		r = fields_string_at(f, key, i, list, &text);
		if (r >= 0)
			r = read_cidr(f, place, text, out, *n, &out[*n]);
		*n += r >= 0;
	}
	return r;
}

static int read_exit(const struct fields *f, struct resource_exit *out)
{
	static const char *const known[] = {"nodeSelector", "cidrs", NULL};
	int r = fields_check(f, known);
	if (r >= 0)
		r = fields_selector(f, "nodeSelector", out->selector);
	if (r >= 0 && !*out->selector)
		return fields_refuse(f, "nodeSelector", EINVAL,
			"is missing: it says which nodes are exits, all() would leave none to use "
			"them");
	if (r >= 0)
		r = resource_read_exit_cidrs(f, "cidrs", out->cidrs, &out->n_cidrs);
	if (r >= 0 && out->n_cidrs == 0)
		return fields_refuse(f, "cidrs", EINVAL,
			"is missing: it says where the exits lead, 0.0.0.0/0 and ::/0 are "
			"everywhere");
	return r;
}

static int read_list(const struct fields *spec, struct resource_exits *x)
{
	json_t *list = NULL, *one = NULL;
	size_t i;
	int r = fields_array(spec, "exits", RESOURCE_EXITS, &list);
	if (r <= 0 || json_array_size(list) == 0)
		return r;
	x->list = mem_new(json_array_size(list), sizeof(*x->list));
	json_array_foreach (list, i, one) {
		struct fields f;
		r = fields_element(spec, "exits", i, one, &f);
		if (r >= 0)
			r = read_exit(&f, &x->list[i]);
		if (r < 0)
			return r;
		x->n++;
	}
	return r;
}

static int read_bfd(const struct fields *spec, struct resource_exits *x)
{
	static const char *const known[] = {"enabled", "intervalMs", "multiplier", NULL};
	struct fields bfd;
	bool on = true;
	int64_t interval = 0, multiplier = 0;
	int r = fields_object(spec, "exitBFD", &bfd);
	if (r <= 0)
		return r;
	r = fields_check(&bfd, known);
	if (r >= 0)
		r = fields_bool(&bfd, "enabled", &on);
	if (r >= 0)
		r = fields_number(&bfd, "intervalMs", 20, 10000, &interval);
	if (r >= 0)
		r = fields_number(&bfd, "multiplier", 2, 50, &multiplier);
	x->no_bfd = !on;
	x->bfd_interval_ms = (uint16_t)interval;
	x->bfd_multiplier = (uint8_t)multiplier;
	return r;
}

int resource_read_exits(const struct fields *spec, struct resource_exits *x)
{
	static const char *const fallbacks[] = {"NodeDefault", "Unreachable"};
	int64_t port = 0;
	size_t fallback = 0;
	int r = read_list(spec, x);
	if (r >= 0)
		r = read_bfd(spec, x);
	if (r >= 0)
		r = fields_number(spec, "exitPort", 1, 65535, &port);
	if (r >= 0)
		r = fields_word(spec, "exitFallback", fallbacks, 2, &fallback);
	x->port = (uint16_t)port;
	x->required = fallback == 1;
	return r;
}
