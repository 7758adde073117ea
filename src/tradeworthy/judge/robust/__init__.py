"""How far a score can be moved by somebody who can move some of what the model looks at."""
