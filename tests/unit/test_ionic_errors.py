"""Broken models, each with the exact text of its error."""

import pytest

from upstroke.errors import UpstrokeError
from upstroke.ionic import load_model, read_model

MEMBRANE = "V_init = -80; Iion = 0.1*(V + 80);\n"

#: name: (the model, the error)
BROKEN = {
    "empty right-hand side": (
        "Iion = ;",
        "toy.model:1:8: the right-hand side is empty\n"
        "    Iion = ;\n"
        "           ^\n"
        "  -> give it a value, or delete the statement"),
    "empty right-hand side of an accumulator": (
        "Iion += ;",
        "toy.model:1:9: the right-hand side is empty\n"
        "    Iion += ;\n"
        "            ^\n"
        "  -> give it a value, or delete the statement"),
    "missing semicolon": (
        "V_init = -80\nIion = V;",
        "toy.model:1:13: missing ';' at the end of the statement\n"
        "    V_init = -80\n"
        "                ^\n"
        "  -> add ';'"),
    "missing semicolon at the end of the file": (
        "x = 3",
        "toy.model:1:6: missing ';' at the end of the statement\n"
        "    x = 3\n"
        "         ^\n"
        "  -> add ';'"),
    "missing semicolon after markups": (
        "x = 3; .param()",
        "toy.model:1:16: missing ';' at the end of the statement\n"
        "    x = 3; .param()\n"
        "                   ^\n"
        "  -> add ';'"),
    "missing semicolon before a brace": (
        "group { x = 3 }",
        "toy.model:1:14: missing ';' at the end of the statement\n"
        "    group { x = 3 }\n"
        "                 ^\n"
        "  -> add ';'"),
    "missing semicolon before a markup": (
        "x = 5.param();",
        "toy.model:1:7: missing ';' at the end of the statement\n"
        "    x = 5.param();\n"
        "          ^\n"
        "  -> add ';'"),
    "open bracket": (
        "x = (3 + 4;",
        "toy.model:1:11: ';' where ')' is missing\n"
        "    x = (3 + 4;\n"
        "              ^\n"
        "  -> close the bracket"),
    "open bracket of a call": (
        "x = exp(3;",
        "toy.model:1:10: ';' where ')' is missing\n"
        "    x = exp(3;\n"
        "             ^\n"
        "  -> close the bracket"),
    "closing bracket too many": (
        "x = 3);",
        "toy.model:1:6: ')' closes nothing\n"
        "    x = 3);\n"
        "         ^\n"
        "  -> delete it, or open a bracket before"),
    "missing operand": (
        "x = 3 +;",
        "toy.model:1:8: ';' after '+', where a value should stand\n"
        "    x = 3 +;\n"
        "           ^\n"
        "  -> give a number, a name or an expression"),
    "missing operand before a bracket": (
        "x = (3 * );",
        "toy.model:1:10: ')' after '*', where a value should stand\n"
        "    x = (3 * );\n"
        "             ^\n"
        "  -> give a number, a name or an expression"),
    "missing operand before an operator": (
        "x = * 3;",
        "toy.model:1:5: '*' after '=', where a value should stand\n"
        "    x = * 3;\n"
        "        ^\n"
        "  -> give a number, a name or an expression"),
    "two numbers": (
        "x = 3 4;",
        "toy.model:1:7: '4' does not fit here\n"
        "    x = 3 4;\n"
        "          ^\n"
        "  -> an operator or ';' is missing before it"),
    "strange character": (
        "x = 3 @ 4;",
        "toy.model:1:7: unexpected character '@'\n"
        "    x = 3 @ 4;\n"
        "          ^\n"
        "  -> the language has names, numbers, + - * / < > = ! & | ? : ( ) { } . , and comments"),
    "single ampersand": (
        "x = a & b;",
        "toy.model:1:7: unexpected character '&'\n"
        "    x = a & b;\n"
        "          ^\n"
        "  -> write && or and"),
    "percent": (
        "x = a % b;",
        "toy.model:1:7: unexpected character '%'\n"
        "    x = a % b;\n"
        "          ^\n"
        "  -> write fmod(a, b)"),
    "a string": (
        "x = \"a\";",
        "toy.model:1:5: unexpected character '\"'\n"
        "    x = \"a\";\n"
        "        ^\n"
        "  -> the language has names, numbers, + - * / < > = ! & | ? : ( ) { } . , and comments"),
    "open block": (
        "group { x = 3;",
        "toy.model:1: the file ends inside a block\n"
        "  -> close it with '}'"),
    "block closed twice": (
        "group { x = 3; } }",
        "toy.model:1:18: '}' closes nothing\n"
        "    group { x = 3; } }\n"
        "                     ^\n"
        "  -> delete it, or open a block with group { or if (...) {"),
    "else without if": (
        "else { x = 3; }",
        "toy.model:1:1: 'else' without an if before it\n"
        "    else { x = 3; }\n"
        "    ^\n"
        "  -> write if (...) { ... } first"),
    "elif without if": (
        "elif (V > 0) { x = 3; }",
        "toy.model:1:1: 'elif' without an if before it\n"
        "    elif (V > 0) { x = 3; }\n"
        "    ^\n"
        "  -> write if (...) { ... } first"),
    "if without a block": (
        "if (V > 0) x = 3;",
        "toy.model:1:12: 'x' where '{' should stand\n"
        "    if (V > 0) x = 3;\n"
        "               ^\n"
        "  -> what depends on a condition is a block: { ... }"),
    "if without a condition": (
        "if () { x = 3; }",
        "toy.model:1:5: ')' after '(', where a value should stand\n"
        "    if () { x = 3; }\n"
        "        ^\n"
        "  -> give a number, a name or an expression"),
    "assignment in an expression": (
        "x = y = 3;",
        "toy.model:1:7: '=' inside an expression\n"
        "    x = y = 3;\n"
        "          ^\n"
        "  -> compare with ==, assign with NAME = value;"),
    "assignment in a condition": (
        "if (V = 3) { x = 3; }",
        "toy.model:1:7: '=' inside an expression\n"
        "    if (V = 3) { x = 3; }\n"
        "          ^\n"
        "  -> compare with ==, assign with NAME = value;"),
    "open comment": (
        "x = 3; /* the end",
        "toy.model:1:8: the comment that starts here never ends\n"
        "    x = 3; /* the end\n"
        "           ^\n"
        "  -> close it with */"),
    "no statement": (
        "= 3;",
        "toy.model:1:1: '=' does not fit here\n"
        "    = 3;\n"
        "    ^\n"
        "  -> statements are NAME = value; NAME; .markup(); group { } if ( ) { } when ( ) { }"),
    "number as a name": (
        "3 = x;",
        "toy.model:1:1: '3' does not fit here\n"
        "    3 = x;\n"
        "    ^\n"
        "  -> statements are NAME = value; NAME; .markup(); group { } if ( ) { } when ( ) { }"),
    "a stray word": (
        "x y;",
        "toy.model:1:2: missing ';' at the end of the statement\n"
        "    x y;\n"
        "     ^\n"
        "  -> add ';'"),
    "ternary without its end": (
        "x = V > 0 ? 1;",
        "toy.model:1:14: ';' where ':' is missing\n"
        "    x = V > 0 ? 1;\n"
        "                 ^\n"
        "  -> write condition ? a : b"),
    "power operator": (
        MEMBRANE + "x = V^2;",
        "toy.model:2:6: '^' is no operator of the language\n"
        "    x = V^2;\n"
        "         ^\n"
        "  -> write pow(a, b), square(a) or cube(a)"),
    "octal number": (
        MEMBRANE + "x = 010;",
        "toy.model:2:5: 010 is an octal number in C and a decimal one elsewhere\n"
        "    x = 010;\n"
        "        ^\n"
        "  -> write 10"),
    "number too large": (
        MEMBRANE + "x = 1e999;",
        "toy.model:2:5: 1e999 is too large for a number\n"
        "    x = 1e999;\n"
        "        ^\n"
        "  -> the largest is 1.797e308"),
    "unknown function": (
        MEMBRANE + "x = expo(V);",
        "toy.model:2:5: unknown function 'expo'\n"
        "    x = expo(V);\n"
        "        ^\n"
        "  -> did you mean 'exp'?"),
    "too many arguments": (
        MEMBRANE + "x = exp(V, 2);",
        "toy.model:2:5: exp() takes 1 argument, not 2\n"
        "    x = exp(V, 2);\n"
        "        ^\n"
        "  -> write exp(a)"),
    "too few arguments": (
        MEMBRANE + "x = pow(V);",
        "toy.model:2:5: pow() takes 2 arguments, not 1\n"
        "    x = pow(V);\n"
        "        ^\n"
        "  -> write pow(a, b)"),
    "no argument": (
        MEMBRANE + "x = sqrt();",
        "toy.model:2:5: sqrt() takes 1 argument, not 0\n"
        "    x = sqrt();\n"
        "        ^\n"
        "  -> write sqrt(a)"),
    "markup of nothing": (
        ".param();\nV_init = -80; Iion = 0.1*(V + 80);\n",
        "toy.model:1:2: .param() belongs to the statement before it, but there is none\n"
        "    .param();\n"
        "     ^\n"
        "  -> write NAME; .param(...);"),
    "unknown markup": (
        MEMBRANE + "q = 1; .parm();",
        "toy.model:2:9: unknown markup '.parm()'\n"
        "    q = 1; .parm();\n"
        "            ^\n"
        "  -> did you mean 'param'?"),
    "markup with too few arguments": (
        MEMBRANE + "V; .lookup(3);",
        "toy.model:2:5: .lookup() takes 3 arguments, not 1\n"
        "    V; .lookup(3);\n"
        "        ^\n"
        "  -> write .lookup(min, max, step)"),
    "markup without its argument": (
        MEMBRANE + "q = 1; .units();",
        "toy.model:2:9: .units() takes 1 argument, not 0\n"
        "    q = 1; .units();\n"
        "            ^\n"
        "  -> write .units(mV)"),
    "markup with needless arguments": (
        MEMBRANE + "q = 1; .param(3);",
        "toy.model:2:9: .param() takes no argument, not 1\n"
        "    q = 1; .param(3);\n"
        "            ^\n"
        "  -> write .param()"),
    "markup that takes a name": (
        MEMBRANE + "x_init = 0; diff_x = -x; .method(3);",
        "toy.model:2:34: .method() takes names\n"
        "    x_init = 0; diff_x = -x; .method(3);\n"
        "                                     ^\n"
        "  -> write .method(NAME)"),
    "two different markups of a kind": (
        MEMBRANE + "q = 1; .units(mV);\nq; .units(ms);",
        "toy.model:3:5: q has another .units() at line 2\n"
        "    q; .units(ms);\n"
        "        ^\n"
        "  -> keep one"),
    "unknown unit": (
        MEMBRANE + "q = 1; .units(mVolt);",
        "toy.model:2:15: unknown unit 'mVolt'\n"
        "    q = 1; .units(mVolt);\n"
        "                  ^\n"
        "  -> did you mean 'mol'?"),
    "sum of units": (
        MEMBRANE + "q = 1; .units(mV + ms);",
        "toy.model:2:15: 'mV+ms' is no unit\n"
        "    q = 1; .units(mV + ms);\n"
        "                  ^\n"
        "  -> write units like mV, uA/cm^2, mM/ms, ms^-1, unitless"),
    "V in other units": (
        MEMBRANE + "V; .units(V);",
        "toy.model:2:5: V is the global Vm, in mV, not in V\n"
        "    V; .units(V);\n"
        "        ^\n"
        "  -> write .units(mV)"),
    "Iion in other units": (
        MEMBRANE + "Iion; .units(nA);",
        "toy.model:2:8: Iion is the global Iion, in uA/cm^2, not in nA\n"
        "    Iion; .units(nA);\n"
        "           ^\n"
        "  -> write .units(uA/cm^2)"),
    "global in a unit of another dimension": (
        MEMBRANE + "Ke; .external(K_e); .units(mV); x = Ke;",
        "toy.model:2:22: Ke is the global K_e, in mM, not in mV\n"
        "    Ke; .external(K_e); .units(mV); x = Ke;\n"
        "                         ^\n"
        "  -> write .units(mM)"),
    "unknown global": (
        MEMBRANE + "Kex; .external(K_ex); x = Kex;",
        "toy.model:2:7: there is no global quantity 'K_ex'\n"
        "    Kex; .external(K_ex); x = Kex;\n"
        "          ^\n"
        "  -> did you mean 'K_e'?"),
    "bad table": (
        MEMBRANE + "V; .lookup(100, -100, 1);",
        "toy.model:2:5: no table from 100 to -100 in steps of 1\n"
        "    V; .lookup(100, -100, 1);\n"
        "        ^\n"
        "  -> write .lookup(min, max, step) with min < max and 0 < step"),
    "table by a name": (
        MEMBRANE + "V; .lookup(-100, top, 1); top = V;",
        "toy.model:2:18: .lookup() takes numbers; top is none\n"
        "    V; .lookup(-100, top, 1); top = V;\n"
        "                     ^\n"
        "  -> write a number, or a parameter above"),
    "table of nothing": (
        MEMBRANE + "q; .lookup(0, 1, 0.1);",
        "toy.model:2:5: 'q' has no value\n"
        "    q; .lookup(0, 1, 0.1);\n"
        "        ^\n"
        "  -> give it one with q = ...;"),
    "method of no state": (
        MEMBRANE + "x = 3; .method(fe);",
        "toy.model:2:9: x is no state, so it has no method\n"
        "    x = 3; .method(fe);\n"
        "            ^\n"
        "  -> states: V"),
    "unknown method": (
        MEMBRANE + "x_init = 0; diff_x = -x; x; .method(rk3);",
        "toy.model:2:30: unknown method 'rk3'\n"
        "    x_init = 0; diff_x = -x; x; .method(rk3);\n"
        "                                 ^\n"
        "  -> did you mean 'rk4'?"),
    "method that no kernel can do": (
        MEMBRANE + "x_init = 0; diff_x = -x; x; .method(cvode);",
        "toy.model:2:30: the method cvode chooses its own steps: it is for single cells, not for kernels\n"
        "    x_init = 0; diff_x = -x; x; .method(cvode);\n"
        "                                 ^\n"
        "  -> call upstroke.reference.integrate, or take fe, rush_larsen, sundnes, rk2, rk4, markov_be, rosenbrock"),
    "markov_be for rates that are not linear together": (
        MEMBRANE + "x_init = 0; y_init = 0; diff_x = -x*y; diff_y = x; group { x; y; }.method(markov_be);",
        "toy.model:2:68: markov_be needs rates that are linear in all states of the chain; that of x is not "
        "linear in y\n"
        "    x_init = 0; y_init = 0; diff_x = -x*y; diff_y = x; group { x; y; }.method(markov_be);\n"
        "                                                                       ^\n"
        "  -> use rosenbrock"),
    "rush_larsen for a nonlinear rate": (
        MEMBRANE + "x_init = 0; diff_x = -x*x; x; .method(rush_larsen);",
        "toy.model:2:32: rush_larsen needs a rate that is linear in the state; that of x is not\n"
        "    x_init = 0; diff_x = -x*x; x; .method(rush_larsen);\n"
        "                                   ^\n"
        "  -> use fe, sundnes, rk2, rk4, rosenbrock"),
    "method of a stored state": (
        MEMBRANE + "x_init = 0; x = x + 1; x; .method(fe);",
        "toy.model:2:28: x has no rate, so it has no method\n"
        "    x_init = 0; x = x + 1; x; .method(fe);\n"
        "                               ^\n"
        "  -> give diff_x, or no method"),
    "bounds of a definition": (
        MEMBRANE + "x = V; .lb(0);",
        "toy.model:2:9: x is neither a state nor a parameter, so it has no bounds\n"
        "    x = V; .lb(0);\n"
        "            ^\n"
        "  -> bound a state or a parameter"),
    "bounds of V": (
        MEMBRANE + "V; .lb(-100);",
        "toy.model:2:5: V is neither a state nor a parameter, so it has no bounds\n"
        "    V; .lb(-100);\n"
        "        ^\n"
        "  -> bound a state or a parameter (V cannot be bounded)"),
    "bounds the wrong way round": (
        MEMBRANE + "x_init = 0; diff_x = -x; x; .lb(1); .ub(0);",
        "toy.model:2:41: the upper bound 0 is below the lower bound 1\n"
        "    x_init = 0; diff_x = -x; x; .lb(1); .ub(0);\n"
        "                                            ^\n"
        "  -> swap them"),
    "default out of bounds": (
        MEMBRANE + "p = 3; .param(); .lb(4);",
        "toy.model:2:1: the value 3 is out of bounds\n"
        "    p = 3; .param(); .lb(4);\n"
        "    ^\n"
        "  -> give one from 4 to inf"),
    "bound that varies": (
        MEMBRANE + "x_init = 0; diff_x = -x; x; .lb(V);",
        "toy.model:2:33: .lb() takes numbers; V is none\n"
        "    x_init = 0; diff_x = -x; x; .lb(V);\n"
        "                                    ^\n"
        "  -> write a number, or a parameter above"),
    "undefined name": (
        MEMBRANE + "GNa = 3; x = Gna*V;",
        "toy.model:2:14: 'Gna' has no value\n"
        "    GNa = 3; x = Gna*V;\n"
        "                 ^\n"
        "  -> did you mean 'GNa'?"),
    "undefined name without a neighbour": (
        MEMBRANE + "x = conductance*V;",
        "toy.model:2:5: 'conductance' has no value\n"
        "    x = conductance*V;\n"
        "        ^\n"
        "  -> give it one with conductance = ...;"),
    "half a gate": (
        MEMBRANE + "m_inf = 1; x = m*V;",
        "toy.model:2:16: 'm' has no value\n"
        "    m_inf = 1; x = m*V;\n"
        "                   ^\n"
        "  -> m_inf is given; with tau_m as well m would be a gate"),
    "half a gate by rates": (
        MEMBRANE + "beta_m = 1; x = m*V;",
        "toy.model:2:17: 'm' has no value\n"
        "    beta_m = 1; x = m*V;\n"
        "                    ^\n"
        "  -> beta_m is given; with alpha_m as well m would be a gate"),
    "global that is not declared": (
        MEMBRANE + "x = Ca_i*V;",
        "toy.model:2:5: 'Ca_i' has no value\n"
        "    x = Ca_i*V;\n"
        "        ^\n"
        "  -> write Ca_i; .external(Ca_i); to share it with the simulator"),
    "trace of nothing": (
        MEMBRANE + "INa; .trace();",
        "toy.model:2:7: 'INa' has no value\n"
        "    INa; .trace();\n"
        "          ^\n"
        "  -> give it one with INa = ...;"),
    "assigned twice": (
        MEMBRANE + "x = 3;\nx = 4;",
        "toy.model:3:1: x is assigned a second time; the first is at line 2\n"
        "    x = 4;\n"
        "    ^\n"
        "  -> a name is given its value once; use another name, += to add to it, or if {...} else {...}"),
    "assigned twice in a branch": (
        MEMBRANE + "if (V > 0) { x = 3;\n x = 4; } else { x = 5; }",
        "toy.model:3:2: x is assigned a second time; the first is at line 2\n"
        "     x = 4; } else { x = 5; }\n"
        "     ^\n"
        "  -> a name is given its value once; use another name, += to add to it, or if {...} else {...}"),
    "assigned before an if": (
        MEMBRANE + "x = 3;\nif (V > 0) { x = 4; }",
        "toy.model:3:14: x is assigned a second time; the first is at line 2\n"
        "    if (V > 0) { x = 4; }\n"
        "                 ^\n"
        "  -> a name is given its value once; use another name, += to add to it, or if {...} else {...}"),
    "Iion given twice": (
        "V_init = 0; Iion = V; Iion = 2*V;",
        "toy.model:1:23: Iion is assigned a second time; the first is at line 1\n"
        "    V_init = 0; Iion = V; Iion = 2*V;\n"
        "                          ^\n"
        "  -> a name is given its value once; use another name, += to add to it, or if {...} else {...}"),
    "accumulator without a first value": (
        MEMBRANE + "x += 1; x *= 2;",
        "toy.model:2:1: x is both added to and multiplied, but has no first value\n"
        "    x += 1; x *= 2;\n"
        "    ^\n"
        "  -> begin with x = ...;"),
    "circle": (
        MEMBRANE + "a = 2*b; b = c + 1; c = a;",
        "toy.model:2:1: a depends on itself: a -> b -> c -> a\n"
        "    a = 2*b; b = c + 1; c = a;\n"
        "    ^\n"
        "  -> break the circle, or make one of them a state with .store()"),
    "circle through Iion": (
        "V_init = 0; Iion = INa; INa = 2*Iion;",
        "toy.model:1:13: Iion depends on itself: Iion -> INa -> Iion\n"
        "    V_init = 0; Iion = INa; INa = 2*Iion;\n"
        "                ^\n"
        "  -> break the circle, or make one of them a state with .store()"),
    "rate of itself": (
        MEMBRANE + "diff_x = diff_x + 1; x_init = 0;",
        "toy.model:2:1: diff_x depends on itself: diff_x -> diff_x\n"
        "    diff_x = diff_x + 1; x_init = 0;\n"
        "    ^\n"
        "  -> break the circle"),
    "Iion of itself": (
        "V_init = 0; Iion = 2*Iion;",
        "toy.model:1:13: Iion depends on itself: Iion -> Iion\n"
        "    V_init = 0; Iion = 2*Iion;\n"
        "                ^\n"
        "  -> break the circle"),
    "circle of initial values": (
        MEMBRANE + "diff_x = -x; diff_y = -y; x_init = y; y_init = x;",
        "toy.model:2:1: the initial value of x depends on itself: x -> y -> x\n"
        "    diff_x = -x; diff_y = -y; x_init = y; y_init = x;\n"
        "    ^\n"
        "  -> break the circle with a number"),
    "initial value by dt": (
        MEMBRANE + "diff_x = -x; x_init = dt;",
        "toy.model:2:1: the initial value of x depends on dt, which has none\n"
        "    diff_x = -x; x_init = dt;\n"
        "    ^\n"
        "  -> use parameters, V, other states and what follows from them"),
    "infinite initial value": (
        MEMBRANE + "diff_x = -x; x_init = 1/0;",
        "toy.model:2:1: the initial value of x is inf\n"
        "    diff_x = -x; x_init = 1/0;\n"
        "    ^\n"
        "  -> give it a finite one with x_init = ...;"),
    "no initial value": (
        MEMBRANE + "diff_x = -x;",
        "toy.model:2:1: the state x has no initial value\n"
        "    diff_x = -x;\n"
        "    ^\n"
        "  -> add x_init = ...;"),
    "no initial value of a stored state": (
        MEMBRANE + "x = x + 1;",
        "toy.model:2:1: the state x has no initial value\n"
        "    x = x + 1;\n"
        "    ^\n"
        "  -> add x_init = ...;"),
    "no else": (
        MEMBRANE + "if (V > 0) { x = 3; }",
        "toy.model:2:1: x is given only where this condition holds; elsewhere it would keep its old "
        "value, but it has no first one\n"
        "    if (V > 0) { x = 3; }\n"
        "    ^\n"
        "  -> add an else branch, or x_init = ...;"),
    "no else of a rate": (
        MEMBRANE + "x_init = 0; if (V > 0) { diff_x = 3; }",
        "toy.model:2:13: diff_x is given only where this condition holds\n"
        "    x_init = 0; if (V > 0) { diff_x = 3; }\n"
        "                ^\n"
        "  -> add an else branch"),
    "no else of Iion": (
        "V_init = 0; if (V > 0) { Iion = 3; }",
        "toy.model:1:13: Iion is given only where this condition holds\n"
        "    V_init = 0; if (V > 0) { Iion = 3; }\n"
        "                ^\n"
        "  -> add an else branch"),
    "two rates": (
        MEMBRANE + "x_init = 0; diff_x = -x;\nd_x_dt = -2*x;",
        "toy.model:3:1: x has two rates; the first is diff_x at line 2\n"
        "    d_x_dt = -2*x;\n"
        "    ^\n"
        "  -> delete one"),
    "value and rate": (
        MEMBRANE + "x_init = 0; diff_x = -x; x = 3;",
        "toy.model:2:26: x has both a value and a rate, diff_x at line 2\n"
        "    x_init = 0; diff_x = -x; x = 3;\n"
        "                             ^\n"
        "  -> delete one"),
    "two pairs for a gate": (
        MEMBRANE + "m_inf = 1; tau_m = 1; alpha_m = 1; beta_m = 1; x = m;",
        "toy.model:2:23: the gate m is given twice, by m_inf and tau_m and by alpha_m and beta_m\n"
        "    m_inf = 1; tau_m = 1; alpha_m = 1; beta_m = 1; x = m;\n"
        "                          ^\n"
        "  -> keep one pair, and call the other something else"),
    "V assigned": (
        MEMBRANE + "V = 3;",
        "toy.model:2:1: V is given by the simulator, a model never assigns it\n"
        "    V = 3;\n"
        "    ^\n"
        "  -> V follows from Iion: C_m dV/dt = -(Iion - Istim)"),
    "rate of V": (
        MEMBRANE + "diff_V = -V;",
        "toy.model:2:1: diff_V: V is given by the simulator\n"
        "    diff_V = -V;\n"
        "    ^\n"
        "  -> V follows from Iion: C_m dV/dt = -(Iion - Istim)"),
    "t assigned": (
        MEMBRANE + "t = 3;",
        "toy.model:2:1: t is given by the simulator, a model never assigns it\n"
        "    t = 3;\n"
        "    ^\n"
        "  -> use another name"),
    "rate of time": (
        MEMBRANE + "diff_t = 1;",
        "toy.model:2:1: diff_t: t is given by the simulator\n"
        "    diff_t = 1;\n"
        "    ^\n"
        "  -> use another name"),
    "parameter without a value": (
        MEMBRANE + "g; .param();",
        "toy.model:2:1: the parameter g has no default value\n"
        "    g; .param();\n"
        "    ^\n"
        "  -> write g = ...; .param();"),
    "parameter that is a state": (
        MEMBRANE + "x_init = 0; diff_x = -x; x; .param();",
        "toy.model:2:30: x changes in time, so it is no parameter\n"
        "    x_init = 0; diff_x = -x; x; .param();\n"
        "                                 ^\n"
        "  -> drop .param()"),
    "V as a parameter": (
        MEMBRANE + "V; .param();",
        "toy.model:2:5: V changes in time, so it is no parameter\n"
        "    V; .param();\n"
        "        ^\n"
        "  -> drop .param()"),
    "file that ends in a statement": (
        "V; .external",
        "toy.model:1: the file ends in the middle of a statement\n"
        "  -> finish it, with ';' at its end"),
    "parameter that varies": (
        MEMBRANE + "g = 2*V; .param();",
        "toy.model:2:1: the default of parameter g depends on V, which changes\n"
        "    g = 2*V; .param();\n"
        "    ^\n"
        "  -> defaults follow from numbers and other parameters"),
    "parameter by a definition that varies": (
        MEMBRANE + "g = 2*a; .param(); a = V;",
        "toy.model:2:1: the default of parameter g depends on V, which changes\n"
        "    g = 2*a; .param(); a = V;\n"
        "    ^\n"
        "  -> defaults follow from numbers and other parameters"),
    "parameters in a circle": (
        MEMBRANE + "g = h; .param(); h = g; .param();",
        "toy.model:2:1: g depends on itself: g -> h -> g\n"
        "    g = h; .param(); h = g; .param();\n"
        "    ^\n"
        "  -> break the circle with a number"),
    "parameter that is no number": (
        MEMBRANE + "g = 0/0; .param();",
        "toy.model:2:1: the default of parameter g is nan\n"
        "    g = 0/0; .param();\n"
        "    ^\n"
        "  -> check its expression"),
    "default that is no option": (
        MEMBRANE + "cell = MID; .flag(EPI, ENDO);",
        "toy.model:2:1: the default of flag cell is none of its options\n"
        "    cell = MID; .flag(EPI, ENDO);\n"
        "    ^\n"
        "  -> options: EPI, ENDO"),
    "option that is a name": (
        MEMBRANE + "cell; .flag(EPI, ENDO); EPI = 3;",
        "toy.model:2:8: the option EPI has another meaning already\n"
        "    cell; .flag(EPI, ENDO); EPI = 3;\n"
        "           ^\n"
        "  -> give options names of their own"),
    "unknown option": (
        MEMBRANE + "cell; .flag(EPI, ENDO); x = cell == ENDOO;",
        "toy.model:2:37: 'ENDOO' has no value\n"
        "    cell; .flag(EPI, ENDO); x = cell == ENDOO;\n"
        "                                        ^\n"
        "  -> did you mean 'ENDO'?"),
    "no Iion": (
        "V_init = -80;",
        "toy.model: the model gives no Iion, so V has no equation\n"
        "  -> add Iion = ...; in uA/cm^2, outward positive"),
    "no V_init": (
        "Iion = V;",
        "toy.model: the model gives no V_init\n"
        "  -> add V_init = ...; in mV"),
    "nothing at all": (
        "",
        "toy.model: the model gives no Iion, so V has no equation\n"
        "  -> add Iion = ...; in uA/cm^2, outward positive\n"
        "toy.model: the model gives no V_init\n"
        "  -> add V_init = ...; in mV"),
    "plug-in": (
        "V; .external(Vm); Iion; .external();\nIion = Iion + 0.1*V;",
        "toy.model:2:1: this is a plug-in, not a membrane model: it adds to the Iion of another model\n"
        "    Iion = Iion + 0.1*V;\n"
        "    ^\n"
        '  -> add it to a model: plugins = ["PATH/NAME.model"]; a model begins with Iion = ...;'),
    "plug-in by an accumulator": (
        "Iion += 0.1*V;",
        "toy.model:1:1: this is a plug-in, not a membrane model: it adds to the Iion of another model\n"
        "    Iion += 0.1*V;\n"
        "    ^\n"
        '  -> add it to a model: plugins = ["PATH/NAME.model"]; a model begins with Iion = ...;'),
    "plug-in for tension": (
        "Tension; .external(); Tension = 2*V;",
        "toy.model: this is a plug-in for Tension, not a membrane model: it gives no Iion\n"
        '  -> add it to a model: plugins = ["PATH/NAME.model"]'),
    "several mistakes at once": (
        MEMBRANE + "x = foo(V) + bar;\ny = exp(1, 2); .parm();\ndiff_z = -z;\nV = 1;",
        "toy.model:2:5: unknown function 'foo'\n"
        "    x = foo(V) + bar;\n"
        "        ^\n"
        "  -> did you mean 'floor'?\n"
        "toy.model:2:14: 'bar' has no value\n"
        "    x = foo(V) + bar;\n"
        "                 ^\n"
        "  -> give it one with bar = ...;\n"
        "toy.model:3:5: exp() takes 1 argument, not 2\n"
        "    y = exp(1, 2); .parm();\n"
        "        ^\n"
        "  -> write exp(a)\n"
        "toy.model:3:17: unknown markup '.parm()'\n"
        "    y = exp(1, 2); .parm();\n"
        "                    ^\n"
        "  -> did you mean 'param'?\n"
        "toy.model:5:1: V is given by the simulator, a model never assigns it\n"
        "    V = 1;\n"
        "    ^\n"
        "  -> V follows from Iion: C_m dV/dt = -(Iion - Istim)"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_error_text(name):
    text, expected = BROKEN[name]
    with pytest.raises(UpstrokeError) as caught:
        read_model(text, "toy")
    assert str(caught.value) == expected
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["-("*3000 + "V" + ")"*3000, "+".join(["V"]*3000), "V ? 1 : "*3000 + "2"])
def test_expressions_nested_too_deeply(text):
    with pytest.raises(UpstrokeError) as caught:
        read_model(MEMBRANE + "\nx = " + text + ";", "toy")
    where, *_, remedy = str(caught.value).split("\n")
    assert where == "toy.model:3:5: more than 200 operations stand inside each other"
    assert remedy == "  -> name parts of the expression"


def test_blocks_nested_too_deeply():
    with pytest.raises(UpstrokeError) as caught:
        read_model(MEMBRANE + "if (V > 0) { "*3000 + "x = 1;" + "} else { x = 2; }"*3000, "toy")
    assert str(caught.value) == "toy.model: blocks are nested too deeply\n  -> write fewer levels"


def test_unknown_model():
    with pytest.raises(UpstrokeError) as caught:
        load_model("MitchelSchaefer")
    assert str(caught.value) == ("no model 'MitchelSchaefer'\n  -> did you mean 'MitchellSchaeffer'? "
                                 "(a model of your own: give its path, PATH/NAME.model)")


def test_unreadable_files(tmp_path):
    with pytest.raises(UpstrokeError) as caught:
        load_model("nowhere/mine.model")
    assert str(caught.value) == ("nowhere/mine.model: cannot read the model: No such file or directory\n"
                                 "  -> give the path of a .model file")
    path = tmp_path / "binary.model"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UpstrokeError) as caught:
        load_model(path)
    assert str(caught.value) == (f"{path}: cannot read the model: it is no text file in UTF-8\n"
                                 "  -> give the path of a .model file")
