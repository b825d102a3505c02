"""Operations on a running stack, under a load that accounts for every request."""
