// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
)

// Caller is where a call comes from, and what it says of whoever makes it.
type Caller struct {
	// Conn is the connection; a certificate may have been shown when it was made.
	Conn *grpc.ClientConn
	// Metadata is what comes with the call.
	Metadata metadata.MD
}

// Way is how people come in.
type Way struct {
	// Name is what the way is called.
	Name string
	// Prefix is what the names of those begin with who come so, where bindings name them.
	Prefix string
	// As has a user come in, whose name begins with the prefix.
	As func(user string) Caller
}

// Forgery is how somebody wants to be taken for what it is not.
type Forgery struct {
	// Name is what is forged.
	Name string
	// Wants is what it is refused by.
	Wants codes.Code
	// As is how it is done, with the token and the name of somebody who would be let in.
	As func(token, user string) Caller
}

// holding is who holds a token; empty for none.
func (t Target) holding(token string) Caller {
	md := metadata.MD{}
	if token != "" {
		md.Set("authorization", "Bearer "+token)
	}
	return Caller{t.Conn, md}
}

// Outsiders are all calls that the rows make with those who come by the target's ways and forgeries.
func (p *People) Outsiders(rows []Row) []Cell {
	var out []Cell
	for _, row := range rows {
		out = append(out, p.otherwise(row)...)
	}
	return out
}

// otherwise are the calls of a row by those who come otherwise than by tokens, or want to.
func (p *People) otherwise(row Row) []Cell {
	var out []Cell
	ns := p.target.Namespace
	add := func(who string, from Caller, wants codes.Code) { out = append(out, Cell{row, who, from, ns, wants}) }
	holder, known := p.Holders[row.Right]
	token, user := holder.Here, holder.hereUser
	if !known {
		token, user = p.Nobody, nobody
	}
	for _, f := range p.target.Forgeries {
		wants := f.Wants
		if row.Open {
			wants = codes.OK
		}
		add("forged: "+f.Name, f.As(token, user), wants)
	}
	for _, w := range p.target.Ways {
		withoutRight := w.As(w.Prefix + nobody)
		if !known {
			add("no right, by "+w.Name, withoutRight, codes.OK)
			continue
		}
		add("no right, by "+w.Name, withoutRight, codes.PermissionDenied)
		add("right, by "+w.Name, w.As(w.Prefix+holder.hereUser), codes.OK)
		add("other namespace, by "+w.Name, w.As(w.Prefix+holder.elsewhereUser), codes.PermissionDenied)
	}
	return out
}
