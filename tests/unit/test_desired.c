/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The desired state as golden folders (tests/data/desired): "input" is a JSON object with the
 * cluster's documents and blocks (replica_input.h), the kernel's facts and this node's own side;
 * "expected" is the whole value as text, BIRD's configuration at its end.
 */
#include "tests/unit/values.h"

#include "agent/desired/desired.h"

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "tests/unit/desired_text.h"
#include "tests/unit/golden.h"
#include "tests/unit/replica_input.h"

#define MOST 16

struct input {
	struct agent_conf conf;
	struct replica replica;
	struct facts facts;
	struct facts_link links[MOST];
	struct facts_addr addrs[MOST];
	struct desired_self self;
	struct cidr announced[MOST], kept[MOST], learned[MOST];
	struct bird_sessions sessions;
	struct service_table services;
	struct cidr services_before[MOST];
};

static struct cidr cidr_at(const json_t *object, const char *key)
{
	struct cidr c = {0};
	const char *text = json_string_value(json_object_get(object, key));
	if (text)
		c = cidr(text);
	return c;
}

static struct addr addr_at(const json_t *object, const char *key)
{
	struct addr a = {0};
	const char *text = json_string_value(json_object_get(object, key));
	if (text)
		a = addr(text);
	return a;
}

static int number_at(const json_t *object, const char *key)
{
	return (int)json_integer_value(json_object_get(object, key));
}

static size_t read_cidrs(const json_t *list, struct cidr out[MOST])
{
	size_t i;
	const json_t *text;
	json_array_foreach (list, i, text)
		out[i] = cidr(json_string_value(text));
	return json_array_size(list);
}

static void read_facts(const json_t *doc, struct input *in)
{
	size_t i;
	const json_t *one;
	struct facts *f = &in->facts;
	json_array_foreach (json_object_get(doc, "links"), i, one) {
		in->links[i] = (struct facts_link){.index = number_at(one, "index"),
			.mtu = (uint32_t)number_at(one, "mtu"),
			.far = addr_at(one, "far"),
			.near = addr_at(one, "near"),
			.up = true,
			.running = true,
			.no_forward = json_is_true(json_object_get(one, "noForward")),
			.strict = json_is_true(json_object_get(one, "strict"))};
		(void)text_copy(in->links[i].name, NET_NAME,
			json_string_value(json_object_get(one, "name")));
		f->n_links = i + 1;
	}
	json_array_foreach (json_object_get(doc, "addrs"), i, one) {
		in->addrs[i] = (struct facts_addr){.addr = cidr_at(one, "addr"),
			.link = number_at(one, "link"),
			.usable = true};
		f->n_addrs = i + 1;
	}
	json_array_foreach (json_object_get(doc, "defaults"), i, one) {
		struct addr via = addr_at(one, "via");
		f->defaults[family_of(via.family)] = (struct facts_route){
			.dst.addr.family = via.family, .via = via, .link = number_at(one, "link")};
	}
	json_array_foreach (json_object_get(doc, "routes"), i, one) {
		f->routes[i] = (struct facts_route){.dst = cidr_at(one, "dst"),
			.via = addr_at(one, "via"),
			.link = number_at(one, "link")};
		f->n_routes = i + 1;
	}
	f->links = in->links;
	f->addrs = in->addrs;
}

static enum encapsulation encapsulation_at(const json_t *o, const char *key)
{
	static const char *const names[] = {[ENCAPSULATION_NONE] = "plain",
		[ENCAPSULATION_IPIP] = "ipip",
		[ENCAPSULATION_IPIP_CROSS] = "ipip-cross",
		[ENCAPSULATION_VXLAN] = "vxlan",
		[ENCAPSULATION_VXLAN_CROSS] = "vxlan-cross"};
	const char *s = json_string_value(json_object_get(o, key));
	for (enum encapsulation i = ENCAPSULATION_NONE; s && i < ENCAPSULATIONS; i++)
		if (strcmp(names[i], s) == 0)
			return i;
	assert_null(s);
	return ENCAPSULATION_UNSET;
}

static void read_self(const json_t *doc, struct input *in)
{
	const json_t *self = json_object_get(doc, "self");
	in->self = (struct desired_self){
		.addr = {cidr_at(self, "ipv4"), cidr_at(self, "ipv6")},
		.link = {number_at(self, "link4"), number_at(self, "link6")},
		.vxlan = {addr_at(self, "vxlan4"), addr_at(self, "vxlan6")},
		.ipip = addr_at(self, "ipip4"),
		.labels = json_object_get(self, "labels"),
		.previous = {encapsulation_at(self, "former4"), encapsulation_at(self, "former6")},
		.announced = in->announced,
		.n_announced = read_cidrs(json_object_get(self, "announced"), in->announced),
		.kept = in->kept,
		.n_kept = read_cidrs(json_object_get(self, "kept"), in->kept),
		.learned = in->learned,
		.n_learned = read_cidrs(json_object_get(self, "learned"), in->learned),
	};
}

/* "protocols": lines of BIRD's answer, first seen "protocolsAge" seconds ago, at 09:14:53. */
static void read_sessions(const json_t *doc, struct input *in)
{
	static const int64_t began_ms = 5000, began_s = 1772442893;
	size_t i;
	const json_t *line;
	struct text reply = {0};
	const json_t *self = json_object_get(doc, "self");
	json_array_foreach (json_object_get(self, "protocols"), i, line)
		text_add(&reply, "1002 %s\n", json_string_value(line));
	if (i)
		(void)bird_sessions_take(&in->sessions, reply.buf, began_ms, began_s);
	in->self.sessions = in->sessions.all;
	in->self.n_sessions = in->sessions.n;
	in->self.now_ms = began_ms + INT64_C(1000) * number_at(self, "protocolsAge");
	in->self.md5_drops = json_is_true(json_object_get(self, "md5Drops"));
	text_free(&reply);
}

/* "services", "slices": Kubernetes' objects, all of them unless "servicesPending" says that the list is
 * under way; "servicesBefore": what was announced until now. Without "services" nothing is known of them. */
static void read_services(const json_t *doc, struct input *in)
{
	static const char *const keys[SERVICE_TABLE_PARTS] = {"services", "slices"};
	size_t i;
	const json_t *one;
	service_table_init(&in->services, in->conf.node);
	for (enum service_part part = 0; part < SERVICE_TABLE_PARTS; part++) {
		service_table_begin(&in->services, part);
		json_array_foreach (json_object_get(doc, keys[part]), i, one)
			(void)service_table_put(&in->services, part, one);
		if (!json_is_true(json_object_get(doc, "servicesPending")))
			service_table_end(&in->services, part);
	}
	in->self.services = json_object_get(doc, "services") ? &in->services : NULL;
	in->self.services_before = in->services_before;
	in->self.n_services_before =
		read_cidrs(json_object_get(doc, "servicesBefore"), in->services_before);
}

static void run(const char *dir, char *out, size_t size)
{
	size_t len = 0;
	struct err e = {0};
	struct input in = {.conf = {.vxlan_port = 4789, .vxlan_vni = 4096, .exits_table = 8266}};
	CLEANUP_JSON json_t *doc = NULL;
	CLEANUP_FREE char *text = golden_read(dir, "input", &len);
	assert_non_null(text);
	if (json_parse(text, len, &doc, &e) < 0)
		fail_msg("%s: %s", dir, e.text);
	const char *node = json_string_value(json_object_get(doc, "node"));
	(void)text_copy(in.conf.node, sizeof(in.conf.node), node);
	(void)text_copy(in.conf.socket, sizeof(in.conf.socket), "/run/roost/agent.sock");
	(void)text_copy(in.conf.vxlan_device, sizeof(in.conf.vxlan_device), "vxlan.roost");
	(void)text_copy(
		in.conf.detect[IPV4].text, sizeof(in.conf.detect[IPV4].text), "first-found");
	(void)text_copy(
		in.conf.detect[IPV6].text, sizeof(in.conf.detect[IPV6].text), "first-found");
	in.conf.routes_static = json_is_true(json_object_get(doc, "static"));
	replica_fill(&in.replica, node, doc);
	read_facts(doc, &in);
	read_self(doc, &in);
	read_sessions(doc, &in);
	read_services(doc, &in);

	struct desired d;
	struct desired again;
	desired_make(&in.conf, &in.replica, &in.facts, &in.self, &d);
	desired_make(&in.conf, &in.replica, &in.facts, &in.self, &again);
	CLEANUP_FREE char *first = desired_text(&d);
	CLEANUP_FREE char *second = desired_text(&again);
	assert_string_equal(first, second);
	for (size_t i = 0; i < in.replica.n_problems; i++) {
		size_t used = strlen(out);
		(void)snprintf(out + used, size - used, "left out: %s: %s\n",
			in.replica.problems[i].key, in.replica.problems[i].text);
	}
	size_t used = strlen(out);
	assert_true(strlen(first) < size - used);
	(void)snprintf(out + used, size - used, "%s", first);
	desired_done(&d);
	desired_done(&again);
	replica_done(&in.replica);
	bird_sessions_done(&in.sessions);
	service_table_done(&in.services);
}

TEST(desired_state_of_each_case)
{
	golden_run("desired", run);
}

/* As full names of hosts are: labels of 15 letters, so that a dot is the 64th character, and the 63rd of
 * a name that is cut there is none. */
static void make_name(char name[RESOURCE_NAME], size_t len)
{
	for (size_t i = 0; i < len; i++)
		name[i] = i % 16 == 14 && i + 1 < len ? '.' : 'n';
	name[len] = '\0';
}

/* The Node document that the agent of this node writes beside what the store has; NULL: none. */
static json_t *make_node_of(const char *name, const char *documents)
{
	struct agent_conf conf = {.vxlan_port = 4789, .vxlan_vni = 4096, .exits_table = 8266};
	struct replica r;
	struct facts f = {0};
	struct desired_self self = {.addr = {cidr("10.1.0.1/24"), cidr("fd00::1/64")},
		.vxlan = {addr("100.66.0.0"), addr("fd66::")},
		.ipip = addr("100.66.0.1")};
	struct desired d;
	CLEANUP_JSON json_t *input = json_object();
	json_put(input, "documents", json_of(documents));
	(void)text_copy(conf.node, sizeof(conf.node), name);
	replica_fill(&r, name, input);
	desired_make(&conf, &r, &f, &self, &d);
	json_t *node = json_incref(d.node);
	desired_done(&d);
	replica_done(&r);
	return node;
}

static const char *label_of(const json_t *node)
{
	const json_t *labels = json_object_get(json_object_get(node, "metadata"), "labels");
	return json_string_value(json_object_get(labels, "kubernetes.io/hostname"));
}

TEST(nodes_of_every_length_of_name_can_be_read)
{
	static const struct {
		size_t name, label;
	} lengths[] = {{1, 1}, {63, 63}, {64, 62}, {253, 62}};
	for (size_t i = 0; i < COUNT(lengths); i++) {
		char name[RESOURCE_NAME], where[RESOURCE_WHERE];
		struct resource read;
		struct err e = {0};
		make_name(name, lengths[i].name);
		CLEANUP_JSON json_t *node = make_node_of(name, "[]");
		assert_non_null(node);
		ok(resource_parse(node, &read, where, &e));
		assert_string_equal(read.name, name);
		assert_int_equal(strlen(label_of(node)), lengths[i].label);
		assert_memory_equal(label_of(node), name, lengths[i].label);
		resource_done(&read);
		CLEANUP_JSON json_t *stored = json_array();
		(void)json_array_append(stored, node);
		CLEANUP_FREE char *text = json_text(stored);
		assert_null(make_node_of(name, text));
	}
}

TEST(a_label_that_is_too_long_is_mended_and_one_of_people_stays)
{
	char name[RESOURCE_NAME], text[1200];
	static const char form[] =
		"[{\"kind\":\"Node\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{"
		"\"name\":\"%s\",\"labels\":{\"kubernetes.io/hostname\":\"%s\"}},\"spec\":{}}]";
	make_name(name, 64);
	(void)snprintf(text, sizeof(text), form, name, name);
	CLEANUP_JSON json_t *mended = make_node_of(name, text);
	assert_true(strlen(label_of(mended)) < RESOURCE_LABEL);
	(void)snprintf(text, sizeof(text), form, name, "mine");
	CLEANUP_JSON json_t *kept = make_node_of(name, text);
	assert_string_equal(label_of(kept), "mine");
}

TEST(a_document_that_no_node_could_read_is_not_written)
{
	CLEANUP_JSON json_t *node = make_node_of("a",
		"[{\"kind\":\"Node\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{"
		"\"name\":\"a\",\"labels\":{\"rack\":\"r 1\"}},\"spec\":{}}]");
	assert_null(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(desired_state_of_each_case),
		cmocka_unit_test(nodes_of_every_length_of_name_can_be_read),
		cmocka_unit_test(a_label_that_is_too_long_is_mended_and_one_of_people_stays),
		cmocka_unit_test(a_document_that_no_node_could_read_is_not_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
