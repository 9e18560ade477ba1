/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services of type LoadBalancer, read member by member: they are people's, through an API server that
 * knows nothing of our annotations. What cannot be read in those is a sentence for whoever wrote it,
 * and such a service keeps what it has and gets nothing new.
 */
#include "agent/services/demand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define PORTS_MOST 512 /* of a service; a port beyond is taken by nobody else, either */

static struct hash hash_of_text(const char *a, const char *b)
{
	CLEANUP_TEXT struct text t = {0};
	text_add(&t, "%s\n%s", a, b);
	return hash_of(t.buf, t.len);
}

/* The next word of a list with commas; false: no more. */
static bool next_word(const char **at, char *out, size_t size)
{
	*at += strspn(*at, ", ");
	size_t len = strcspn(*at, ", ");
	struct text t = {.buf = out, .size = size};
	*out = '\0';
	text_add_bytes(&t, *at, len);
	*at += len;
	return len > 0;
}

static void read_asked(struct demand *d, const char *list)
{
	char word[ADDR_TEXT], shown[ADDR_TEXT];
	while (!*d->wrong && next_word(&list, word, sizeof(word))) {
		struct addr a;
		struct err ignored;
		(void)json_clean(shown, sizeof(shown), word);
		if (addr_parse(word, &a, &ignored) < 0)
			(void)snprintf(d->wrong, sizeof(d->wrong),
				"it asks for \"%s\", which is no address", shown);
		else if (d->n_asked == DEMAND_MOST)
			(void)snprintf(d->wrong, sizeof(d->wrong),
				"it asks for more than %d addresses", DEMAND_MOST);
		else
			d->asked[d->n_asked++] = a;
	}
}

static void read_pools(struct demand *d, const char *list)
{
	char word[RESOURCE_NAME];
	while (!*d->wrong && next_word(&list, word, sizeof(word))) {
		if (!text_is_dns_name(word))
			(void)snprintf(d->wrong, sizeof(d->wrong),
				"its annotation " DEMAND_POOLS " has what is no pool's name");
		else if (d->n_pools == DEMAND_MOST)
			(void)snprintf(d->wrong, sizeof(d->wrong), "it names more than %d pools",
				DEMAND_MOST);
		else
			(void)text_copy(d->pools[d->n_pools++], RESOURCE_NAME, word);
	}
}

static void read_annotations(struct demand *d, const json_t *metadata, const json_t *spec)
{
	const json_t *notes = json_object_get(metadata, "annotations");
	const char *asked = json_text_at(notes, DEMAND_ADDRESSES);
	const char *key = json_text_at(notes, DEMAND_SHARING);
	read_asked(d, *asked ? asked : json_text_at(spec, "loadBalancerIP"));
	read_pools(d, json_text_at(notes, DEMAND_POOLS));
	if (*key)
		d->key = hash_of_text(d->namespace_, key);
}

static void read_families(struct demand *d, const json_t *spec)
{
	const json_t *list = json_object_get(spec, "ipFamilies");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *s = json_string_value(json_array_get(list, i));
		if (s && strcmp(s, "IPv4") == 0)
			d->wants[IPV4] = true;
		if (s && strcmp(s, "IPv6") == 0)
			d->wants[IPV6] = true;
	}
	d->must_have_both = strcmp(json_text_at(spec, "ipFamilyPolicy"), "RequireDualStack") == 0;
}

static void read_ports(struct demand *d, const json_t *spec)
{
	const json_t *list = json_object_get(spec, "ports");
	size_t n = json_array_size(list) < PORTS_MOST ? json_array_size(list) : PORTS_MOST;
	d->ports = mem_new(n + 1, sizeof(*d->ports));
	for (size_t i = 0; i < n; i++) {
		const json_t *one = json_array_get(list, i);
		const char *protocol = json_text_at(one, "protocol");
		d->ports[d->n_ports++] = (struct demand_port){
			.port = (uint16_t)json_integer_value(json_object_get(one, "port")),
			.protocol = *protocol ? *protocol : 'T',
		};
	}
}

static void read_status(struct demand *d, const json_t *status)
{
	const json_t *list = json_object_get(json_object_get(status, "loadBalancer"), "ingress");
	for (size_t i = 0; i < json_array_size(list) && d->n_has < DEMAND_MOST; i++) {
		struct err ignored; /* a host's name, or nothing */
		const char *ip = json_text_at(json_array_get(list, i), "ip");
		if (addr_parse(ip, &d->has[d->n_has], &ignored) == 0)
			d->n_has++;
	}
}

static char *dns_name_at(const json_t *metadata, const char *key)
{
	const char *s = json_text_at(metadata, key);
	return text_is_dns_name(s) ? mem_strdup(s) : NULL;
}

static char *clean_at(const json_t *metadata, const char *key)
{
	char word[128];
	(void)text_clean(word, sizeof(word), json_text_at(metadata, key));
	return mem_strdup(word);
}

bool demand_read(const json_t *object, bool any_class, struct demand *out)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const json_t *spec = json_object_get(object, "spec");
	const char *class = json_text_at(spec, "loadBalancerClass");
	*out = (struct demand){0};
	if (strcmp(json_text_at(spec, "type"), "LoadBalancer") != 0)
		return false;
	out->namespace_ = dns_name_at(metadata, "namespace");
	out->name = dns_name_at(metadata, "name");
	if (!out->namespace_ || !out->name) {
		demand_done(out);
		return false;
	}
	out->uid = clean_at(metadata, "uid");
	out->version = clean_at(metadata, "resourceVersion");
	(void)text_clean(
		out->created, sizeof(out->created), json_text_at(metadata, "creationTimestamp"));
	/* One that is being deleted keeps what it has to the end. */
	out->is_ours = (strcmp(class, DEMAND_CLASS) == 0 || (any_class && !*class)) &&
		       !*json_text_at(metadata, "deletionTimestamp");
	out->local = strcmp(json_text_at(spec, "externalTrafficPolicy"), "Local") == 0;
	CLEANUP_FREE char *selector = json_dumps(
		json_object_get(spec, "selector"), JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
	out->pods = hash_of_text(out->namespace_, selector ? selector : "");
	read_annotations(out, metadata, spec);
	read_families(out, spec);
	read_ports(out, spec);
	read_status(out, json_object_get(object, "status"));
	return true;
}

void demand_done(struct demand *d)
{
	free(d->namespace_);
	free(d->name);
	free(d->uid);
	free(d->version);
	free(d->ports);
	*d = (struct demand){0};
}

static bool has_port(const struct demand *d, const struct demand_port *p)
{
	for (size_t i = 0; i < d->n_ports; i++)
		if (d->ports[i].port == p->port && d->ports[i].protocol == p->protocol)
			return true;
	return false;
}

bool demand_may_share(const struct demand *a, const struct demand *b)
{
	static const struct hash none;
	if (hash_equal(&a->key, &none) || !hash_equal(&a->key, &b->key) || !a->is_ours ||
		!b->is_ours)
		return false;
	if ((a->local || b->local) && (!hash_equal(&a->pods, &b->pods) || a->local != b->local))
		return false;
	for (size_t i = 0; i < a->n_ports; i++)
		if (has_port(b, &a->ports[i]))
			return false;
	return true;
}

int demand_compare_age(const struct demand *a, const struct demand *b)
{
	int r = strcmp(a->created, b->created);
	return r ? r : strcmp(a->uid, b->uid);
}
