/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: documents of the store. Whatever comes, no text gets through that could close a
 * string or begin a line in BIRD's or nft's language, and what is kept of a document is read to be
 * good again.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>

#include "cluster/document.h"
#include "cluster/resource.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "lib/selector.h"

static void check_text(const char *s)
{
	for (; *s; s++)
		CHECK(*s >= ' ' && *s <= '~' && *s != '"' && *s != '\\');
}

static void check_selector(const char *s)
{
	struct err e;
	CHECK(selector_check(s, &e) == 0);
	for (; *s; s++)
		CHECK((*s >= ' ' && *s <= '~') || *s == '\t');
}

static void check_peer(const struct resource_peer *p)
{
	CHECK(p->addr.family && p->as_number);
	CHECK(!*p->node || text_is_dns_name(p->node));
	check_selector(p->selector);
	check_text(p->password);
	for (size_t i = 0; i < p->n_filters; i++)
		CHECK(text_is_dns_name(p->filters[i]));
}

static void check_filter(const struct resource_filter *f)
{
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < f->n_rules[i]; k++) {
			const struct resource_rule *r = &f->rules[i][k];
			CHECK(!cidr_has_host_bits(&r->cidr) || !r->cidr.addr.family);
			CHECK(r->min_len <= r->max_len);
		}
}

static void check_value(const struct resource *r)
{
	CHECK(text_is_dns_name(r->name));
	if (r->kind == RESOURCE_IPPOOL) {
		const struct pool *p = &r->pool.pool;
		CHECK(!cidr_has_host_bits(&p->cidr) && p->block_len >= p->cidr.len);
		CHECK(!r->pool.ipip || !r->pool.vxlan);
		check_selector(r->pool.selector);
	} else if (r->kind == RESOURCE_BGPCONFIGURATION) {
		check_text(r->bgp.password);
	} else if (r->kind == RESOURCE_BGPPEER) {
		check_peer(&r->peer);
	} else if (r->kind == RESOURCE_BGPFILTER) {
		check_filter(&r->filter);
	}
}

/* What was applied is readable, and unchanged when it is applied again. */
static void check_merge(const json_t *stored)
{
	for (int has_agent = 0; has_agent < 2; has_agent++) {
		char where[RESOURCE_WHERE];
		struct resource r;
		struct err e = {0};
		CLEANUP_JSON json_t *merged = document_merge_node(stored, stored, has_agent);
		CLEANUP_JSON json_t *again = document_merge_node(merged, stored, has_agent);
		CHECK(json_equal(again, merged));
		CHECK(resource_parse(merged, &r, where, &e) == 0);
		resource_done(&r);
	}
}

/* What is shown can be applied again. */
static void check_hidden(const json_t *stored)
{
	CLEANUP_JSON json_t *hidden = document_hide(stored, NULL);
	CLEANUP_JSON json_t *revealed = document_reveal(hidden, stored, NULL);
	CHECK(json_equal(revealed, stored));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_JSON json_t *doc = NULL, *stored = NULL;
	char where[RESOURCE_WHERE];
	struct resource r;
	struct err e = {0};
	if (json_parse((const char *)data, size, &doc, &e) < 0)
		return 0;
	int error = resource_parse(doc, &r, where, &e);
	CHECK(error == 0 || ((error == -EINVAL || error == -EBADMSG) && *e.text));
	CHECK(error == 0 || (json_is_utf8(e.text) && json_is_utf8(where)));
	if (error < 0)
		return 0;
	check_value(&r);
	resource_done(&r);
	stored = document_stored(doc);
	CHECK(resource_parse(stored, &r, where, &e) == 0);
	if (r.kind == RESOURCE_NODE)
		check_merge(stored);
	resource_done(&r);
	check_hidden(stored);
	return 0;
}
